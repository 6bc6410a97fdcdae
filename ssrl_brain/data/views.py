"""Crops of utterances: the only difference between the stages' inputs."""

import copy
import hashlib
from typing import NamedTuple

import numpy as np
import torch

from ssrl_brain.data.audio import length_at, read_excerpts
from ssrl_brain.data.perturb import perturb
from ssrl_brain.data.sampler import random_generator
from ssrl_brain.data.utterances import Utterances


def crop_starts(total, length, num, generator, spread=True):
    """Where crops begin; they overlap as little as the utterance allows.

    Crops that fit side by side never overlap, and the spare samples are
    shared out at random among the gaps. Otherwise they are spaced evenly from
    the first to the last sample. The order of the crops is random.

    Arguments
    ---------
    total, length : int
        Samples of the utterance and of each crop. An utterance shorter than
        the crop is repeated, and may begin anywhere.
    num : int
    generator : numpy.random.Generator
    spread : bool
        False draws the positions independently.

    Returns
    -------
    numpy.ndarray
        (num,) first samples.

    Example
    -------
    >>> sorted(crop_starts(10, 6, 2, np.random.default_rng(0)).tolist())
    [0, 4]
    """
    if total < length:
        return generator.integers(0, total, size=num)
    slack = total - num * length
    if not spread or num == 1:
        return generator.integers(0, total - length + 1, size=num)
    if slack >= 0:
        gaps = np.sort(generator.integers(0, slack + 1, size=num))
        starts = gaps + length * np.arange(num)
    else:
        starts = np.arange(num) * (total - length) // (num - 1)
    return generator.permutation(starts)


class View:
    """Some crops of equal length of an utterance, with their augmentation.

    Arguments
    ---------
    num : int
        Crops per utterance.
    seconds : float or list of float
        Length; of a pair [low, high] one length is drawn per batch.
    augment : callable or None
        Draws the augmentation of a crop, see ``ssrl_brain.data.augment``.
    spread : bool
        Whether the crops avoid each other.
    tempo : callable or None
        Draws the tempo of a crop, see ``ssrl_brain.data.perturb.Sometimes``;
        the crop keeps its length, a longer or shorter part is read.

    Example
    -------
    >>> View(2, 3.0).draw_length(16000, seed=0, epoch=1, batch=0)
    48000
    """

    def __init__(self, num, seconds, augment=None, spread=True, tempo=None):
        self.num = num
        self.seconds = np.broadcast_to(seconds, 2).astype(float)
        self.augment = augment
        self.spread = spread
        self.tempo = tempo
        if num < 1 or not 0 < self.seconds[0] <= self.seconds[1]:
            raise ValueError(
                f"a view needs at least one crop of positive length, "
                f"got {num} of {seconds} s"
            )
        if tempo is not None and min(tempo.values) <= 0:
            raise ValueError(
                f"tempo_rates must be positive, got {tempo.values}"
            )

    def draw_length(self, sample_rate, seed, epoch, batch):
        """Samples of every crop in a batch."""
        low, high = np.rint(self.seconds * sample_rate).astype(int)
        if low == high:
            return int(low)
        generator = random_generator("length", seed, epoch, batch)
        return int(generator.integers(low, high + 1))

    def draw_rates(self, generator):
        """(num,) tempo of every crop, 1 where it stays as it is."""
        if self.tempo is None:
            return np.ones(self.num)
        return np.array([self.tempo(generator) for _ in range(self.num)])


class ViewBatch(NamedTuple):
    """Crops of one ``View`` for a batch, before augmentation.

    ``wave`` is (B, n, T); the rest is None where nothing augments them:
    ``noise`` (B, n, T), ``snr`` (B, n) in dB, ``rir`` (B, n, R), zeros where a
    crop is not reverberated.
    """

    wave: torch.Tensor
    noise: torch.Tensor | None = None
    snr: torch.Tensor | None = None
    rir: torch.Tensor | None = None


class CropBatch(NamedTuple):
    """``index`` (B,) rows of the utterance table; ``views`` one per View.

    ``images``, where there are faces, are (B, 3, L, L) uint8, one per view.
    """

    index: torch.Tensor
    views: tuple
    images: tuple = ()


def move(batch, device):
    """A batch of tensors, named tuples and Nones on another device."""
    if batch is None:
        return None
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    moved = [move(item, device) for item in batch]
    return type(batch)(*moved) if hasattr(batch, "_fields") else tuple(moved)


class CropDataset(torch.utils.data.Dataset):
    """Crops of utterances, random as a function of (seed, epoch, utterance).

    So they are the same with any number of workers or ranks, interrupted or
    not.

    One draw of pitch holds for all crops of an utterance in an epoch: speech
    at another pitch counts as another speaker (DINO study, Algorithm 1). The
    algorithm shifts the utterance and then crops it. Since a shift moves no
    sound in time, the crops are shifted here, which sounds the same and costs
    as much for an hour as for a sentence.

    Arguments
    ---------
    utterances : Utterances
    data_folder : str
    views : list of View
    seed : int
    sample_rate : int
    sources : callable or None
        (index, num, generator) -> (num,) rows that the crops of an utterance
        are taken from; by default all from the utterance itself.
    pitch : callable or None
        Draws the change of an utterance's pitch in cents, see
        ``ssrl_brain.data.perturb.Sometimes``.
    """

    def __init__(
        self,
        utterances,
        data_folder,
        views,
        seed,
        sample_rate,
        sources=None,
        pitch=None,
    ):
        self.utterances = utterances
        self.data_folder = str(data_folder)
        self.views = views
        self.seed = seed
        self.sample_rate = sample_rate
        self.sources = sources
        self.labels = None
        self.pitch = pitch

    def __len__(self):
        return len(self.utterances)

    def __getitem__(self, key):
        cents = 0
        if self.pitch is not None:
            cents = self.pitch(
                random_generator("pitch", self.seed, key.epoch, key.index)
            )
        views = []
        for number, view in enumerate(self.views):
            length = view.draw_length(
                self.sample_rate, self.seed, key.epoch, key.batch
            )
            generator = random_generator(
                "crops", self.seed, key.epoch, key.index, number
            )
            rows = np.full(view.num, key.index)
            if self.sources is not None:
                rows = self.sources(key.index, view.num, generator)
            # From a generator of its own: the crops stay where they are.
            rates = view.draw_rates(
                random_generator(
                    "tempo", self.seed, key.epoch, key.index, number
                )
            )
            wave = np.empty((view.num, length), dtype=np.float32)
            for row in np.unique(rows):
                mine = rows == row
                wave[mine] = self._crops(
                    row, length, rates[mine], cents, view, generator
                )
            plans = []
            if view.augment is not None:
                plans = [view.augment(length, generator) for _ in wave]
            views.append((wave, *zip(*plans, strict=True)))
        return key.index, views

    def labelled(self, labels, keep):
        """Those utterances that are to be kept, with their pseudo labels.

        Arguments
        ---------
        labels : numpy.ndarray
            (N,) pseudo labels, then found in ``labels``.
        keep : numpy.ndarray
            (N,) bool

        Returns
        -------
        CropDataset
        """
        kept = copy.copy(self)
        kept.utterances = self.utterances.subset(np.flatnonzero(keep))
        kept.labels = labels[keep]
        return kept

    def fingerprint(self):
        """Identity of the utterances, and of their labels if they have any."""
        found = self.utterances.fingerprint()
        if self.labels is None:
            return found
        return hashlib.sha256(
            found.encode() + self.labels.tobytes()
        ).hexdigest()

    def _crops(self, row, length, rates, cents, view, generator):
        """(n, length) crops of one utterance, one for each of n tempos."""
        table = self.utterances
        frames, rate = int(table.num_frames[row]), int(table.sample_rates[row])
        total = length_at(frames, rate, self.sample_rate)
        sizes = np.rint(length * rates).astype(int)
        longest = int(sizes.max())
        # An utterance that is too short for the fastest crop only is repeated
        # in that crop, not in the others.
        room = longest if longest <= total else length
        starts = crop_starts(total, room, len(rates), generator, view.spread)
        path = f"{self.data_folder}/{table.paths[int(row)]}"
        wave = read_excerpts(
            path, starts, longest, frames, rate, self.sample_rate
        )
        return [
            perturb(crop[:size], length, cents, self.sample_rate)
            for crop, size in zip(wave, sizes, strict=True)
        ]


def make_train_set(
    table_csv, data_folder, views, seed, sample_rate, pitch=None
):
    """The ``CropDataset`` of a prepared table; named in the stage YAMLs."""
    table = Utterances.from_csv(table_csv)
    return CropDataset(
        table, data_folder, views, seed, sample_rate, pitch=pitch
    )


def collate(items):
    """Items of a ``CropDataset`` (with images or not) as one ``CropBatch``."""
    index, views, *images = zip(*items, strict=True)
    return CropBatch(
        torch.tensor(index),
        tuple(
            ViewBatch(
                *(
                    torch.from_numpy(np.stack([np.stack(x) for x in field]))
                    for field in zip(*rows, strict=True)
                )
            )
            for rows in zip(*views, strict=True)
        ),
        tuple(
            torch.from_numpy(np.stack(view))
            for view in zip(*(images[0] if images else ()), strict=True)
        ),
    )
