"""Figures about the scores of trials, each a pure function of values."""

import numpy as np
import scipy.stats

from ssrl_brain.evaluation.metrics import eer
from ssrl_brain.report.style import (
    COLOURS,
    GREY,
    axes,
    finished,
    looks,
    mark_every,
    styled,
)

DET_TICKS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@styled
def det_curves(lines):
    """Miss against false alarm rate on axes of normal deviates.

    Arguments
    ---------
    lines : list of tuple
        (name, alarms (n,), misses (n,)), rates between 0 and 1.

    Returns
    -------
    matplotlib.figure.Figure
    """
    ax = axes("false alarms, %", "misses, %", height=3.8)
    rates = np.concatenate([np.concatenate(line[1:]) for line in lines])
    for position, (name, alarms, misses) in enumerate(lines):
        ax.plot(
            scipy.stats.norm.ppf(alarms),
            scipy.stats.norm.ppf(misses),
            label=name,
            markevery=mark_every(alarms),
            **{**looks(position), "markersize": 3},
        )
    low = max([t for t in DET_TICKS if t <= rates.min()], default=DET_TICKS[0])
    high = min([t for t in DET_TICKS if t >= rates.max()], default=0.8)
    high = min(max(high, 0.4), 0.6)
    ticks = [tick for tick in DET_TICKS if low <= tick <= high]
    places = scipy.stats.norm.ppf(ticks)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(places, [f"{100 * tick:g}" for tick in ticks])
    limits = places[0], places[-1]
    ax.plot(limits, limits, color=GREY, lw=0.8, ls=":")
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    return finished(ax)


@styled
def score_histogram(scores, labels, limits=None):
    """Scores of both kinds of trials, and the threshold of the EER.

    Arguments
    ---------
    scores, labels : numpy.ndarray
        (M,)
    limits : tuple of float, optional
        Lowest and highest score of all that are to be compared.

    Returns
    -------
    matplotlib.figure.Figure
    """
    same, different = scores[labels == 1], scores[labels == 0]
    _, threshold = eer(same, different)
    low, high = limits or (scores.min(), scores.max())
    edges = np.linspace(low, high + 1e-9, 61)
    ax = axes("cosine score", "share of the trials, %")
    for values, name, colour in (
        (different, "different speakers", COLOURS[1]),
        (same, "same speaker", COLOURS[0]),
    ):
        counts, _ = np.histogram(values, edges)
        share = 100 * counts / len(values)
        ax.stairs(share, edges, fill=True, alpha=0.3, color=colour)
        ax.stairs(share, edges, color=colour, label=name, lw=1.4)
    ax.axvline(threshold, color="black", ls=":", label="equal error")
    return finished(ax)
