"""Crops of utterances: the only difference between the stages' inputs."""

import copy
import hashlib

import numpy as np
import torch

from ssrl_brain.data.audio import length_at, read_excerpts
from ssrl_brain.data.crops import CropPlan, place
from ssrl_brain.data.perturb import perturb
from ssrl_brain.data.sampler import random_generator
from ssrl_brain.data.utterances import Utterances


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
        Whether the crops avoid each other, and those of all other views that
        spread; False draws them freely.
    tempo : callable or None
        Draws the tempo of a crop, see ``ssrl_brain.data.perturb.Sometimes``;
        the crop keeps its length, a longer or shorter part is read.

    Example
    -------
    >>> View(2, 3.0).draw_length(16000, seed=0, epoch=1, batch=0)
    48000
    """

    def __init__(self, num, seconds, augment=None, spread=False, tempo=None):
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
        low, high = np.rint(self.seconds * sample_rate).astype(np.int64)
        if low == high:
            return int(low)
        generator = random_generator("length", seed, epoch, batch)
        return int(generator.integers(low, high + 1))

    def draw_rates(self, generator):
        """(num,) tempo of every crop, 1 where it stays as it is."""
        if self.tempo is None:
            return np.ones(self.num)
        return np.array([self.tempo(generator) for _ in range(self.num)])


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
        plans = [
            self._plan(view, number, key)
            for number, view in enumerate(self.views)
        ]
        place(plans, [view.spread for view in self.views], self._samples)
        views = []
        for view, plan in zip(self.views, plans, strict=True):
            wave = np.empty((view.num, plan.length), dtype=np.float32)
            for row in np.unique(plan.rows):
                mine = plan.rows == row
                wave[mine] = self._crops(row, plan, mine, cents)
            drawn = []
            if view.augment is not None:
                drawn = [
                    view.augment(plan.length, plan.generator) for _ in wave
                ]
            views.append((wave, *zip(*drawn, strict=True)))
        return key.index, views

    def _plan(self, view, number, key):
        """What the crops of a view are, before they have a place."""
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
            random_generator("tempo", self.seed, key.epoch, key.index, number)
        )
        return CropPlan(
            length,
            rows,
            np.rint(length * rates).astype(int),
            np.empty(view.num, dtype=np.int64),
            generator,
        )

    def _samples(self, row):
        """Length of an utterance once it has the rate of training."""
        table = self.utterances
        frames, rate = int(table.num_frames[row]), int(table.sample_rates[row])
        return length_at(frames, rate, self.sample_rate)

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

    def _crops(self, row, plan, mine, cents):
        """(n, length) crops of one utterance, at their tempos."""
        table = self.utterances
        frames, rate = int(table.num_frames[row]), int(table.sample_rates[row])
        sizes = plan.sizes[mine]
        path = f"{self.data_folder}/{table.paths[int(row)]}"
        wave = read_excerpts(
            path,
            plan.starts[mine],
            int(sizes.max()),
            frames,
            rate,
            self.sample_rate,
        )
        return [
            perturb(crop[:size], plan.length, cents, self.sample_rate)
            for crop, size in zip(wave, sizes, strict=True)
        ]


def make_train_set(
    table_csv, data_folder, views, seed, sample_rate, pitch=None, subset=None
):
    """The ``CropDataset`` of a prepared table; named in the stage YAMLs.

    ``subset`` chooses rows of the table to train on; by default all.
    """
    table = Utterances.from_csv(table_csv)
    rows = range(len(table)) if subset is None else subset(table)
    if len(rows) < len(table):
        table = table.subset(rows)
    return CropDataset(
        table, data_folder, views, seed, sample_rate, pitch=pitch
    )
