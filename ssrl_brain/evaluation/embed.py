"""Embeddings of whole utterances, in the order of a table."""

import os

import numpy as np
import torch
from tqdm import tqdm

from ssrl_brain.data.audio import length_at, read_whole
from ssrl_brain.evaluation.rows import Rows
from ssrl_brain.system.distributed import num_ranks, rank
from ssrl_brain.system.workers import hand_over


def batches_by_length(lengths, max_padding, max_samples):
    """Groups utterances whose lengths are nearly equal, longest first.

    Arguments
    ---------
    lengths : array_like
        (N,) samples.
    max_padding : float
        A batch's shortest utterance is at most this share shorter than its
        longest. 0 groups only equal lengths, so that no result depends on
        padding.
    max_samples : int
        Padded samples in a batch of more than one utterance.

    Returns
    -------
    list of numpy.ndarray
        Rows of each batch.

    Example
    -------
    >>> [b.tolist() for b in batches_by_length([5, 9, 10, 5], 0.1, 20)]
    [[2, 1], [0, 3]]
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    batches, batch = [], []
    for row in np.argsort(-lengths, kind="stable"):
        if batch:
            longest = lengths[batch[0]]
            if (
                lengths[row] < (1 - max_padding) * longest
                or (len(batch) + 1) * longest > max_samples
            ):
                batches.append(np.array(batch))
                batch = []
        batch.append(row)
    return [*batches, np.array(batch)] if batch else batches


def encoding(encoder, features_of):
    """A function (wave (B, T), lengths (B,)) -> (B, D) in eval mode.

    Arguments
    ---------
    encoder : torch.nn.Module
        Put back into the mode that it was in.
    features_of : callable
        (wave, lengths) -> (B, frames, F)
    """

    def encode(wave, lengths):
        training = encoder.training
        encoder.eval()
        features = features_of(wave, lengths)
        embeddings = encoder(features, lengths).flatten(1)
        encoder.train(training)
        return embeddings

    return encode


class _WholeUtterances(torch.utils.data.Dataset):
    """Padded batches of whole utterances."""

    def __init__(self, table, data_folder, sample_rate, batches):
        self.table = table
        self.data_folder = data_folder
        self.sample_rate = sample_rate
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, number):
        rows = self.batches[number]
        waves = [
            read_whole(
                os.path.join(self.data_folder, self.table.paths[int(row)]),
                self.table.num_frames[row],
                self.table.sample_rates[row],
                self.sample_rate,
            )
            for row in rows
        ]
        longest = max(map(len, waves))
        padded = np.zeros((len(waves), longest), dtype=np.float32)
        for target, wave in zip(padded, waves, strict=True):
            target[: len(wave)] = wave
        lengths = np.array([len(wave) / longest for wave in waves])
        return torch.from_numpy(padded), torch.from_numpy(lengths).float()


@torch.no_grad()
def embed(
    encode,
    table,
    data_folder,
    sample_rate,
    device="cpu",
    rows=None,
    max_padding=0.0,
    batch_seconds=60.0,
    num_workers=0,
    progress=None,
    into=None,
):
    """Embeds whole utterances; the work is shared by all ranks.

    Arguments
    ---------
    encode : callable
        (wave (B, T), relative lengths (B,)) -> (B, D)
    table : Utterances
    data_folder : str
    sample_rate : int
        What the encoder wants.
    device : str or torch.device
    rows : array_like, optional
        Rows of the table to embed; all by default.
    max_padding : float
        See ``batches_by_length``. The default is exact.
    batch_seconds : float
        Seconds of speech in a batch.
    num_workers : int
        Reading processes.
    progress : str, optional
        Title of a progress bar.
    into : callable, optional
        See ``ssrl_brain.evaluation.rows.Rows``.

    Returns
    -------
    torch.Tensor
        (n, D) float32 on the CPU, in the order of ``rows``; with ``into`` None
        on all ranks but the first.
    """
    rows = np.arange(len(table)) if rows is None else np.asarray(rows)
    lengths = [
        length_at(table.num_frames[r], table.sample_rates[r], sample_rate)
        for r in rows
    ]
    batches = batches_by_length(
        lengths, max_padding, int(batch_seconds * sample_rate)
    )
    mine = batches[rank() :: num_ranks()]
    batches_of_waves = _WholeUtterances(
        table, data_folder, sample_rate, [rows[b] for b in mine]
    )
    bar = read_batches(batches_of_waves, num_workers, progress)
    embeddings = Rows(len(rows), sum(map(len, mine)), into)
    for batch, (wave, length) in zip(mine, bar, strict=True):
        vectors = encode(wave.to(device), length.to(device)).float().cpu()
        embeddings.put(batch, vectors)
    return embeddings.of_all_ranks(device)


def read_batches(batches, num_workers=0, progress=None):
    """Batches as reading processes hand them over, under a progress bar.

    Arguments
    ---------
    batches : torch.utils.data.Dataset
        Of whole batches.
    num_workers : int
        Reading processes.
    progress : str, optional
        Title of the bar; only the first rank has one.

    Returns
    -------
    iterable
    """
    loader = torch.utils.data.DataLoader(
        batches,
        batch_size=None,
        collate_fn=hand_over,
        num_workers=num_workers,
    )
    return tqdm(
        loader,
        desc=progress,
        unit="batch",
        dynamic_ncols=True,
        disable=progress is None or rank() > 0,
    )
