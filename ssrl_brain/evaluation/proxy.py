"""Verification without labels, and the epoch to export when that is all.

The trials are crops of training utterances. Two crops of one utterance share
their room and microphone as well as their speaker, so the error is not that on
trials of different sessions; what counts is how it moves.
"""

import logging

import numpy as np
import torch

from ssrl_brain.data.audio import length_at, read_excerpts
from ssrl_brain.data.sampler import random_generator
from ssrl_brain.evaluation.metrics import eer
from ssrl_brain.networks.ema import copy_, frozen_copy

logger = logging.getLogger(__name__)

CROPS_AT_ONCE = 64


def proxy_eer(first, second, groups):
    """Equal error rate of an utterance's two crops against other groups.

    Arguments
    ---------
    first, second : torch.Tensor
        (n, D) embeddings of two crops of each utterance.
    groups : array_like
        (n,) pseudo label or session; a first and a second crop of two
        different groups are a trial of two speakers.

    Returns
    -------
    float
        In per cent.

    Example
    -------
    >>> crops = torch.eye(3)
    >>> round(proxy_eer(crops, crops[[0, 2, 1]], groups=[4, 5, 5]), 1)
    33.3
    """
    first, second = (
        torch.nn.functional.normalize(x.float(), dim=1) for x in (first, second)
    )
    scores = first @ second.T
    groups = torch.as_tensor(groups)
    different = groups[:, None] != groups
    return 100 * eer(scores.diagonal(), scores[different])[0]


class Proxy:
    """``proxy_eer`` of an encoder, on the same crops after every epoch.

    The crops are the beginning and the end of utterances, drawn once among
    those that are long enough, as a function of the seed. Groups are the
    pseudo labels that training begins with, so that the trials stay the same
    while labels change, or sessions where there are none.

    Arguments
    ---------
    table : Utterances
        Of the training set.
    labels : numpy.ndarray or None
        (N,) pseudo labels.
    data_folder : str
    sample_rate : int
    num_utterances : int
        At most; 0 switches the proxy off.
    seconds : float
        Length of a crop; utterances of less than two are not drawn.
    every : int
        Epochs between two times; the last epoch always has one.
    seed : int
    """

    def __init__(
        self,
        table,
        labels,
        data_folder,
        sample_rate,
        num_utterances=500,
        seconds=2.0,
        every=1,
        seed=0,
    ):
        self.table = table
        self.data_folder = data_folder
        self.sample_rate = sample_rate
        self.every = every
        self.length = round(seconds * sample_rate)
        lengths = table.num_frames * sample_rate // table.sample_rates
        rows = np.flatnonzero(lengths >= 2 * self.length)
        rows = random_generator("proxy", seed).permutation(rows)
        self.rows = np.sort(rows[:num_utterances])
        groups = table.sessions if labels is None else labels
        self.groups = groups[self.rows]
        self.is_on = len(np.unique(self.groups)) > 1
        if num_utterances > 0 and not self.is_on:
            logger.warning(
                "No proxy_eer: %d training utterances are long enough for two "
                "crops of %g s, of %d clusters or sessions; lower "
                "--proxy_seconds",
                len(self.rows),
                seconds,
                len(np.unique(self.groups)),
            )

    def is_due(self, epoch, last_epoch):
        """Whether this epoch ends with it."""
        return self.is_on and (epoch % self.every == 0 or epoch == last_epoch)

    @torch.no_grad()
    def __call__(self, encode, device):
        """``proxy_eer`` of a function (wave (B, T), lengths (B,)) -> (B, D)"""
        parts = np.array_split(self.rows, -(-len(self.rows) // CROPS_AT_ONCE))
        first, second = zip(
            *(self._embed(encode, device, rows) for rows in parts), strict=True
        )
        return proxy_eer(torch.cat(first), torch.cat(second), self.groups)

    def _embed(self, encode, device, rows):
        """Embeddings (n, D) of the first and of the last crops."""
        waves = torch.from_numpy(np.stack([self._crops(int(r)) for r in rows]))
        lengths = torch.ones(len(rows), device=device)
        for crops in waves.unbind(1):
            yield encode(crops.to(device), lengths).float().cpu()

    def _crops(self, row):
        """(2, T) beginning and end of an utterance."""
        table = self.table
        file = int(table.num_frames[row]), int(table.sample_rates[row])
        total = length_at(*file, self.sample_rate)
        return read_excerpts(
            f"{self.data_folder}/{table.paths[row]}",
            [0, total - self.length],
            self.length,
            *file,
            self.sample_rate,
        )


class LastEpoch(torch.nn.Module):
    """Exports the encoder as training leaves it."""

    def begin(self, encoder, proxy):
        """Nothing to prepare."""

    def observe(self, epoch, record, encoder):
        """Nothing to remember."""

    def chosen(self, encoder):
        """The epoch, None for the last, and its encoder."""
        return None, encoder


class BestProxyEpoch(torch.nn.Module):
    """Exports the encoder of the epoch with the lowest ``proxy_eer``.

    Its weights are part of the checkpoints. Of equal epochs it is the first.

    Example
    -------
    >>> choice, encoder = BestProxyEpoch(), torch.nn.Linear(1, 1)
    >>> choice.begin(encoder, proxy=None)
    >>> for epoch, error in [(1, 9.0), (2, 4.0), (3, 5.0)]:
    ...     _ = torch.nn.init.constant_(encoder.weight, epoch)
    ...     choice.observe(epoch, {"proxy_eer": error}, encoder)
    >>> epoch, best = choice.chosen(encoder)
    >>> epoch, best.weight.item()
    (2, 2.0)
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("epoch", torch.tensor(0))
        self.register_buffer("proxy_eer", torch.tensor(torch.inf))

    def begin(self, encoder, proxy):
        """Makes room for the weights of an encoder.

        Raises
        ------
        ValueError
            If the proxy is off.
        """
        if proxy is not None and not proxy.is_on:
            raise ValueError(
                "the epoch with the best proxy_eer cannot be exported without "
                "it: raise --proxy_utterances, lower --proxy_seconds, or use "
                "LastEpoch as export_epoch"
            )
        self.encoder = frozen_copy(encoder)

    def observe(self, epoch, record, encoder):
        """Remembers the encoder if no epoch so far was better."""
        error = record.get("proxy_eer", torch.inf)
        if error < self.proxy_eer:
            self.proxy_eer.fill_(error)
            self.epoch.fill_(epoch)
            copy_(self.encoder, encoder)

    def chosen(self, encoder):
        """The epoch, None for the last, and its encoder."""
        if self.epoch == 0:
            return None, encoder
        return int(self.epoch), self.encoder
