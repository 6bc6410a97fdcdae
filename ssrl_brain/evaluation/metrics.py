"""Verification errors: EER, minDCF and the scores they come from.

EER and minDCF sort the scores once instead of comparing every score with every
threshold, so that lists with hundreds of thousands of trials take a fraction
of a second.

A trial is accepted when its score is *above* the threshold, as in
``speechbrain.utils.metric_stats``.
"""

import numpy as np
import torch


def eer(positive, negative):
    """Equal error rate, without interpolation.

    The mean of the miss and the false alarm rate at the threshold where they
    are closest, which is the definition of ``speechbrain``'s ``EER``. Several
    thresholds equally good: the smallest. Rates are compared as integers, so
    rounding never decides.

    Arguments
    ---------
    positive : torch.Tensor or numpy.ndarray
        (P,) scores of trials of the same speaker.
    negative : torch.Tensor or numpy.ndarray
        (Q,) scores of trials of two speakers.

    Returns
    -------
    eer : float
        A fraction between 0 and 1.
    threshold : float
        One of the scores; scores above it are accepted.

    Raises
    ------
    ValueError
        A side is empty or holds NaN.

    Example
    -------
    >>> eer([0.9, 0.8, 0.3, 0.7], [0.1, 0.2, 0.4, 0.0])
    (0.25, 0.3)
    """
    thresholds, *counts = _error_counts(positive, negative)
    rate, position = closest_rates(*counts)
    return rate, float(thresholds[position])


def closest_rates(misses, alarms, num_pos, num_neg):
    """Mean of the miss and the false alarm rate where they are closest.

    Arguments
    ---------
    misses, alarms : numpy.ndarray
        (T,) counts at ascending thresholds; whole numbers of any type.
    num_pos, num_neg : int or float
        Trials of the same speaker and of two speakers.

    Returns
    -------
    rate : float
        A fraction between 0 and 1.
    position : int
        The first threshold where the rates are closest.

    Example
    -------
    >>> closest_rates(np.array([0, 1, 2]), np.array([3, 1, 0]), 2, 4)
    (0.375, 1)
    """
    position = int(np.abs(alarms * num_pos - misses * num_neg).argmin())
    rate = (misses[position] / num_pos + alarms[position] / num_neg) / 2
    return float(rate), position


def min_dcf(positive, negative, p_target, c_miss=1.0, c_fa=1.0):
    """Minimum of the normalised detection cost over all thresholds.

    Normalised by the cost of the better of the two systems that accept all or
    reject all. ``speechbrain``'s ``minDCF`` is not normalised, and does not
    consider accepting all; with it the result never exceeds 1.

    Arguments
    ---------
    positive : torch.Tensor or numpy.ndarray
        (P,) scores of trials of the same speaker.
    negative : torch.Tensor or numpy.ndarray
        (Q,) scores of trials of two speakers.
    p_target : float
        Prior probability of the same speaker, between 0 and 1.
    c_miss : float
        Cost of a miss.
    c_fa : float
        Cost of a false alarm.

    Returns
    -------
    min_dcf : float
        Between 0 and 1.
    threshold : float
        The smallest that attains it; -inf where accepting all is best.

    Raises
    ------
    ValueError
        A side is empty or holds NaN, or a cost or the prior is out of range.

    Example
    -------
    >>> min_dcf([0.9, 0.8, 0.3, 0.7], [0.1, 0.2, 0.4, 0.0], p_target=0.05)
    (0.25, 0.4)
    """
    if not (0 < p_target < 1 and c_miss > 0 and c_fa > 0):
        raise ValueError(
            "p_target must lie between 0 and 1 and both costs above 0, "
            f"not {p_target}, {c_miss} and {c_fa}"
        )
    thresholds, *counts = _error_counts(positive, negative)
    cost, position = lowest_cost(*counts, p_target, c_miss, c_fa)
    return cost, float(thresholds[position]) if position >= 0 else -np.inf


def lowest_cost(misses, alarms, num_pos, num_neg, p_target, c_miss=1, c_fa=1):
    """Lowest normalised detection cost, accepting all trials included.

    Arguments
    ---------
    misses, alarms : numpy.ndarray
        (T,) counts at ascending thresholds.
    num_pos, num_neg : int or float
        Trials of the same speaker and of two speakers.
    p_target, c_miss, c_fa : float
        See ``min_dcf``.

    Returns
    -------
    cost : float
        Between 0 and 1.
    position : int
        The first threshold of that cost; -1 where accepting all is best.

    Example
    -------
    >>> lowest_cost(np.array([0, 1]), np.array([1, 0]), 2, 2, p_target=0.5)
    (0.5, 0)
    """
    cost_miss, cost_fa = c_miss * p_target, c_fa * (1 - p_target)
    costs = cost_miss / num_pos * misses + cost_fa / num_neg * alarms
    position = int(costs.argmin())
    best = float(costs[position])
    if cost_fa <= best:
        best, position = cost_fa, -1
    return best / min(cost_miss, cost_fa), position


def verification_metrics(scores, labels):
    """The figures that the papers report, from one list of scored trials.

    Arguments
    ---------
    scores : torch.Tensor or numpy.ndarray
        (M,) scores.
    labels : torch.Tensor or numpy.ndarray
        (M,) 1 where the two speakers are the same, 0 otherwise.

    Returns
    -------
    dict
        ``eer`` in per cent; ``min_dcf_0.05`` and ``min_dcf_0.01``.

    Raises
    ------
    ValueError
        Different lengths, other labels than 0 and 1, one of them absent, NaN.

    Example
    -------
    >>> verification_metrics([0.9, 0.3, 0.2, 0.4], [1, 1, 0, 0])
    {'eer': 50.0, 'min_dcf_0.05': 0.5, 'min_dcf_0.01': 0.5}
    """
    scores, labels = _floats(scores), _floats(labels)
    if scores.shape != labels.shape:
        raise ValueError(
            f"scores and labels differ in shape: {scores.shape} and "
            f"{labels.shape}"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("trial labels must be 0 or 1")
    sides = scores[labels == 1], scores[labels == 0]
    return {
        "eer": 100 * eer(*sides)[0],
        "min_dcf_0.05": min_dcf(*sides, p_target=0.05)[0],
        "min_dcf_0.01": min_dcf(*sides, p_target=0.01)[0],
    }


def score_trials(embeddings, enrol, test, chunk_size=65536):
    """Cosine score of each trial.

    Arguments
    ---------
    embeddings : torch.Tensor
        (N, D) one row per utterance.
    enrol : torch.Tensor
        (M,) rows of the enrolment utterances.
    test : torch.Tensor
        (M,) rows of the test utterances.
    chunk_size : int
        Trials scored at once, which bounds the memory.

    Returns
    -------
    torch.Tensor
        (M,) float32 scores, on the device of the embeddings.

    Raises
    ------
    ValueError
        Different numbers of rows, a row that does not exist, an embedding
        without a direction (zero or not finite).

    Example
    -------
    >>> embeddings = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    >>> score_trials(embeddings, torch.tensor([0, 0]), torch.tensor([1, 2]))
    tensor([0., 1.])
    """
    embeddings = torch.as_tensor(embeddings).float()
    enrol = torch.as_tensor(enrol, device=embeddings.device).long()
    test = torch.as_tensor(test, device=embeddings.device).long()
    if enrol.shape != test.shape:
        raise ValueError(f"{len(enrol)} enrolment but {len(test)} test rows")
    rows = torch.cat([enrol, test])
    if ((rows < 0) | (rows >= len(embeddings))).any():
        raise ValueError(
            f"trials name rows outside the {len(embeddings)} embeddings"
        )
    length = embeddings.norm(dim=1, keepdim=True)
    bad = int((~(length.isfinite() & (length > 0))).sum())
    if bad:
        raise ValueError(
            f"{bad} of {len(embeddings)} embeddings are zero or not finite"
        )
    unit = embeddings / length
    scores = [
        (unit[a] * unit[b]).sum(1)
        for a, b in zip(
            enrol.split(chunk_size), test.split(chunk_size), strict=True
        )
    ]
    return torch.cat(scores)


def _floats(values):
    """Any sequence of numbers as a float64 array; keeps the order."""
    values = torch.as_tensor(values, dtype=torch.float64, device="cpu")
    return values.detach().numpy()


def _error_counts(positive, negative):
    """Misses and false alarms at each distinct score taken as threshold."""
    positive, negative = np.sort(_floats(positive)), np.sort(_floats(negative))
    for scores, kind in ((positive, "same-speaker"), (negative, "impostor")):
        if scores.size == 0:
            raise ValueError(f"there are no {kind} trials: check the list")
        num_nan = int(np.isnan(scores).sum())
        if num_nan:
            raise ValueError(f"{num_nan} {kind} scores are NaN")
    # thresholds between two neighbouring scores would give the same counts
    thresholds = np.unique(np.concatenate([positive, negative]))
    misses = np.searchsorted(positive, thresholds, side="right")
    rejected = np.searchsorted(negative, thresholds, side="right")
    alarms = len(negative) - rejected
    return thresholds, misses, alarms, len(positive), len(negative)
