"""How far error rates would move with other test speakers.

Trials that share a speaker rise and fall together, so that not trials are
drawn anew but speakers, and all trials follow theirs.
"""

import numpy as np
from tqdm import tqdm

from ssrl_brain.data.sampler import random_generator
from ssrl_brain.evaluation.metrics import closest_rates, lowest_cost


def bootstrap(
    scores, labels, enrol, test, num_bootstraps, seed=0, progress=None
):
    """Error rates of one list, for speakers drawn with replacement.

    A speaker drawn m times stands for m speakers with the same utterances: a
    trial of one speaker counts m times, a trial of two as often as the product
    of their numbers. Draws that leave no trial of either kind are repeated.

    Arguments
    ---------
    scores : array_like
        (M,)
    labels : array_like
        (M,) 1 for the same speaker, 0 otherwise.
    enrol, test : array_like
        (M,) integers: the speakers of both sides, or whatever else is to be
        drawn.
    num_bootstraps : int
        R, number of draws.
    seed : int
    progress : str, optional
        Title of a progress bar.

    Returns
    -------
    dict
        "eer" in per cent, "min_dcf_0.05" and "min_dcf_0.01": (R,) arrays.

    Raises
    ------
    ValueError
        If hardly any draw has trials of both kinds.

    Example
    -------
    >>> scores, labels = [0.9, 0.8, 0.1, 0.2], [1, 1, 0, 0]
    >>> bootstrap(scores, labels, [0, 1, 0, 1], [0, 1, 1, 2], 3)["eer"]
    array([0., 0., 0.])
    """
    scores = np.asarray(scores, dtype=np.float64)
    order = np.argsort(scores, kind="stable")
    positive = np.asarray(labels)[order] == 1
    speakers = np.stack([np.asarray(enrol)[order], np.asarray(test)[order]])
    drawn, speakers = np.unique(speakers, return_inverse=True)
    enrol, test = speakers.reshape(2, -1)
    same = np.flatnonzero(enrol == test)
    last = np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))
    chance = np.full(len(drawn), 1 / len(drawn))
    generator = random_generator("bootstrap", seed)
    rows, attempts = [], 0
    bar = tqdm(
        total=num_bootstraps,
        desc=progress,
        disable=progress is None,
        delay=2,  # seconds; a short list needs no bar
        leave=False,
    )
    while len(rows) < num_bootstraps:
        attempts += 1
        if attempts > 10 * num_bootstraps:
            raise ValueError(
                f"{len(drawn)} test speakers are too few for intervals: "
                "--num_bootstraps=0 goes without"
            )
        times = generator.multinomial(len(drawn), chance).astype(np.float64)
        weights = times[enrol] * times[test]
        weights[same] = times[enrol[same]]
        rates = weighted_rates(weights, positive, last)
        if rates is not None:
            rows.append(rates)
            bar.update()
    bar.close()
    eer, dcf_05, dcf_01 = np.array(rows).T
    return {"eer": eer, "min_dcf_0.05": dcf_05, "min_dcf_0.01": dcf_01}


def weighted_rates(weights, positive, last):
    """(EER in per cent, minDCF(0.05), minDCF(0.01)) of weighted trials.

    Arguments
    ---------
    weights : numpy.ndarray
        (M,) how often each trial counts, in ascending order of scores.
    positive : numpy.ndarray
        (M,) bool, trials of the same speaker.
    last : numpy.ndarray
        (T,) the last trial of each distinct score.

    Returns
    -------
    tuple of float or None
        None if one kind of trial has no weight.
    """
    rejected = np.cumsum(weights)
    misses = np.cumsum(weights * positive)
    num_positive = misses[-1]
    num_negative = rejected[-1] - num_positive
    if not (num_positive and num_negative):
        return None
    rejected, misses = rejected[last], misses[last]
    alarms = num_negative - (rejected - misses)
    counts = misses, alarms, num_positive, num_negative
    return (
        100 * closest_rates(*counts)[0],
        lowest_cost(*counts, p_target=0.05)[0],
        lowest_cost(*counts, p_target=0.01)[0],
    )


def interval(values, confidence=0.95):
    """[low, high] between which the middle of the values lies.

    Example
    -------
    >>> interval(np.arange(101), confidence=0.9)
    [5.0, 95.0]
    """
    tail = (1 - confidence) / 2
    return np.quantile(values, [tail, 1 - tail]).round(12).tolist()
