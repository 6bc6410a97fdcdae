"""Where crops of an utterance lie, before they are read."""

from typing import NamedTuple

import numpy as np


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


def share_alike(durations, seconds):
    """Share of the utterances in which two crops are mostly the same audio.

    There is no room for them to share less than half of a crop.

    Arguments
    ---------
    durations : numpy.ndarray
        (N,) in seconds.
    seconds : float
        Length of a crop.

    Returns
    -------
    float

    Example
    -------
    >>> share_alike(np.array([2.0, 2.9, 3.0, 8.0]), 2.0)
    0.5
    """
    return float(np.mean(durations < 1.5 * seconds))


def place(plans, spread, samples_of):
    """Fills in the starts; crops of views that spread avoid each other.

    Arguments
    ---------
    plans : list of CropPlan
        Of all views of an utterance.
    spread : list of bool
        Which of them spread; the crops of any other avoid nothing.
    samples_of : callable
        Row of the table -> samples of the utterance there.
    """
    pairs = list(zip(spread, plans, strict=True))
    together = [plan for avoids, plan in pairs if avoids]
    alone = [[plan] for avoids, plan in pairs if not avoids]
    for group in [together, *alone]:
        for row in np.unique([row for plan in group for row in plan.rows]):
            total = samples_of(row)
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


def room_of(plan, mine, total):
    """Samples that each of some crops of an utterance needs for itself.

    An utterance that is too short for the fastest crop only is repeated in
    that crop, not in the others.
    """
    longest = int(plan.sizes[mine].max(initial=0))
    return longest if longest <= total else plan.length
