"""Batches of crops, as reading processes hand them over."""

from typing import NamedTuple

import numpy as np
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader

from ssrl_brain.data.augment import Rows, rows_of
from ssrl_brain.data.sampler import EpochBatchSampler
from ssrl_brain.system.distributed import num_ranks, rank
from ssrl_brain.system.workers import hand_over


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


class CropBatch(NamedTuple):
    """``index`` (B,) rows of the utterance table; ``views`` one per View.

    ``images``, where there are faces, are (B, 3, L, L) uint8, one per view.
    """

    index: torch.Tensor
    views: tuple
    images: tuple = ()


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


def make_loader(dataset, batch_size, seed, **options):
    """Batches as a function of (seed, epoch), for any number of ranks.

    Arguments
    ---------
    dataset : CropDataset
    batch_size : int
        Utterances in a batch, over all ranks.
    seed : int
    **options
        Of ``torch.utils.data.DataLoader``.

    Returns
    -------
    SaveableDataLoader
        Its ``batch_sampler`` is an ``EpochBatchSampler``.
    """
    for view in dataset.views:
        if hasattr(view.augment, "open"):
            view.augment.open()
    sampler = EpochBatchSampler(
        len(dataset), batch_size, seed, rank(), num_ranks()
    )
    return SaveableDataLoader(
        dataset, batch_sampler=sampler, collate_fn=collate, **options
    )
