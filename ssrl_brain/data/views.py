"""Crops of utterances: the only difference between the stages' inputs."""

import copy
import hashlib
from typing import NamedTuple

import numpy as np
import torch

from ssrl_brain.data.audio import length_at, read_excerpts
from ssrl_brain.data.augment import Rows, rows_of
from ssrl_brain.data.perturb import perturb
from ssrl_brain.data.sampler import random_generator
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.system.workers import hand_over


def crop_starts(total, lengths, generator, spread=True):
    """Where crops begin; they overlap as little as the utterance allows.

    Crops that fit side by side never overlap, and the spare samples are
    shared out at random among the gaps. Otherwise the way from one start to
    the next is shortened in proportion, so that they reach from the first to
    the last sample. The order of the crops is random.

    Arguments
    ---------
    total : int
        Samples of the utterance.
    lengths : array_like
        (n,) samples of each crop. Those longer than the utterance are
        repeated, and may begin anywhere.
    generator : numpy.random.Generator
    spread : bool
        False draws the positions independently.

    Returns
    -------
    numpy.ndarray
        (n,) first samples.

    Example
    -------
    >>> sorted(crop_starts(10, [6, 6], np.random.default_rng(0)).tolist())
    [0, 4]
    >>> starts = crop_starts(10, [6, 2, 2], np.random.default_rng(0))
    >>> sorted(zip(starts.tolist(), [6, 2, 2]))
    [(0, 2), (2, 2), (4, 6)]
    """
    total, lengths = int(total), np.asarray(lengths, dtype=np.int64)
    starts = np.empty_like(lengths)
    fits = lengths <= total
    if not fits.all():
        starts[~fits] = generator.integers(0, total, size=(~fits).sum())
    inside = lengths[fits]
    if not len(inside):
        return starts
    if not spread or len(inside) == 1:
        starts[fits] = [generator.integers(0, total - n + 1) for n in inside]
        return starts
    slack = total - inside.sum()
    if slack >= 0:
        gaps = np.sort(generator.integers(0, slack + 1, size=len(inside)))
    place = generator.permutation(len(inside))  # of each crop
    ordered = inside[np.argsort(place)]
    ahead = np.cumsum(ordered) - ordered  # samples of the crops before it
    if slack >= 0:
        begins = gaps + ahead
    else:
        begins = ahead * (total - ordered[-1]) // ahead[-1]
        begins = np.minimum(begins, total - ordered)
    starts[fits] = begins[place]
    return starts


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


class ViewBatch(NamedTuple):
    """Crops of one ``View`` for a batch, before augmentation.

    ``wave`` is (B, n, T); the rest is None where nothing augments them:
    ``snr`` (B, n) in dB, ``noise`` and ``rir`` of those crops that have any.
    Their rows count crops view by view: [v * B + b] is crop v of utterance b.
    """

    wave: torch.Tensor
    noise: Rows | None = None
    snr: torch.Tensor | None = None
    rir: Rows | None = None


class CropPlan(NamedTuple):
    """Crops of one ``View`` of an utterance, before they are read.

    ``rows`` (n,) of the table that they come from, ``sizes`` (n,) and
    ``starts`` (n,) in samples before the tempo is changed, after which all
    have ``length``; ``generator`` draws what is drawn for this view.
    """

    length: int
    rows: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray
    generator: np.random.Generator


class CropBatch(NamedTuple):
    """``index`` (B,) rows of the utterance table; ``views`` one per View.

    ``images``, where there are faces, are (B, 3, L, L) uint8, one per view.
    """

    index: torch.Tensor
    views: tuple
    images: tuple = ()


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
        self._place(plans)
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

    def _place(self, plans):
        """Fills in the starts; crops of views that spread avoid each other."""
        pairs = list(zip(self.views, plans, strict=True))
        together = [plan for view, plan in pairs if view.spread]
        alone = [[plan] for view, plan in pairs if not view.spread]
        for group in [together, *alone]:
            for row in np.unique([row for plan in group for row in plan.rows]):
                total = self._samples(row)
                mine = [plan.rows == row for plan in group]
                rooms = [
                    np.full(rows.sum(), room_of(plan, rows, total))
                    for plan, rows in zip(group, mine, strict=True)
                ]
                starts = crop_starts(
                    total,
                    np.concatenate(rooms),
                    group[0].generator,
                    spread=group is together,
                )
                for plan, rows in zip(group, mine, strict=True):
                    plan.starts[rows], starts = np.split(starts, [rows.sum()])

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


def room_of(plan, mine, total):
    """Samples that each of some crops of an utterance needs for itself.

    An utterance that is too short for the fastest crop only is repeated in
    that crop, not in the others.
    """
    longest = int(plan.sizes[mine].max(initial=0))
    return longest if longest <= total else plan.length


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


def collate(items):
    """Items of a ``CropDataset`` (with images or not) as one ``CropBatch``."""
    index, views, *images = zip(*items, strict=True)
    batch = CropBatch(
        torch.tensor(index),
        tuple(_view_batch(rows) for rows in zip(*views, strict=True)),
        tuple(
            torch.from_numpy(np.stack(view))
            for view in zip(*(images[0] if images else ()), strict=True)
        ),
    )
    return hand_over(batch)


def _view_batch(rows):
    """A ``ViewBatch`` of one view's (wave, noise, snr, rir) by utterance."""
    wave, *plan = zip(*rows, strict=True)
    wave = torch.from_numpy(np.stack(wave))
    if not plan:
        return ViewBatch(wave)
    noise, snr, rir = plan
    return ViewBatch(
        wave,
        rows_of([x for crop in zip(*noise, strict=True) for x in crop]),
        torch.from_numpy(np.stack([np.stack(x) for x in snr])),
        rows_of([x for crop in zip(*rir, strict=True) for x in crop]),
    )
