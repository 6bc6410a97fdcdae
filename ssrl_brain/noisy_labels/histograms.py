"""Histograms of the losses, whole and by right and wrong labels."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score


def histogram(x, num_bins=100, limits=None):
    """Counts of values in bins of equal width, for a plot of their mixture.

    Arguments
    ---------
    x : torch.Tensor
        (N,) losses on their axis; values that are not finite are left out.
    num_bins : int
    limits : (float, float), optional
        Ends of the range; by default the smallest and the largest value.

    Returns
    -------
    dict
        ``low`` and ``high``, ends of the range, and ``counts``.

    Example
    -------
    >>> histogram(torch.tensor([0.0, 0.0, 2.0, torch.inf]), num_bins=2)
    {'low': 0.0, 'high': 2.0, 'counts': [2, 1]}
    """
    parts = torch.as_tensor(x).detach().split(2**18)  # there may be many
    if limits is None:
        limits = _ends(parts)
    counts = sum(np.histogram(_finite(x), num_bins, limits)[0] for x in parts)
    edges = np.histogram_bin_edges([], num_bins, limits)
    return {
        "low": float(edges[0]),
        "high": float(edges[-1]),
        "counts": counts.tolist(),
    }


def _ends(parts):
    """Smallest and largest finite value of all parts; None without any."""
    ends = [(x.min(), x.max()) for x in map(_finite, parts) if len(x)]
    if not ends:
        return None
    low, high = zip(*ends, strict=True)
    return min(low), max(high)


def _finite(x):
    """Those values as float64 that are finite."""
    x = x.double().cpu().numpy()
    return x[np.isfinite(x)]


def loss_histograms(x, right=None):
    """Histogram of the losses, and of those of right and of wrong labels.

    SSRL, figure 2.

    Arguments
    ---------
    x : torch.Tensor
        (N,) losses on their axis.
    right : numpy.ndarray, optional
        (N,) bool, where speakers are known.

    Returns
    -------
    dict
        ``loss_histogram`` and, of the same bins, those that end in
        ``_right`` and ``_wrong``. ``loss_auc``, where there are both, is the
        share of all pairs of a right and a wrong label in which the wrong one
        has the larger loss: at 0.5 no gate can tell them apart.

    Example
    -------
    >>> found = loss_histograms(torch.tensor([-2.0, 1.0]), [True, False])
    >>> sum(found["loss_histogram_wrong"]["counts"]), found["loss_auc"]
    (1, 1.0)
    """
    name, x = "loss_histogram", torch.as_tensor(x).cpu()
    found = {name: histogram(x)}
    if right is not None:
        right = torch.as_tensor(right)
        limits = found[name]["low"], found[name]["high"]
        for suffix, rows in (("right", right), ("wrong", ~right)):
            found[f"{name}_{suffix}"] = histogram(x[rows], limits=limits)
        known = ~x.isnan()
        wrong = ~right[known]
        if wrong.any() and not wrong.all():
            order = x[known].double().clamp(-1e300, 1e300)  # no infinities
            found["loss_auc"] = float(roc_auc_score(wrong, order))
    return found
