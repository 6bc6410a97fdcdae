"""Two Gaussians over the losses on an axis: which pseudo labels are clean?

SSRL (eq. 17 and 18) weighs each utterance by the posterior of the component
with the smaller mean; DLG-LC (eq. 7 and 8) cuts where both are equally likely.

The papers' axis is the logarithm; ``loss_axis`` has another.

Where no mixture can be fitted, ``fit_two_gaussians`` returns None and the
other functions treat every label as clean.
"""

import logging
import math
from typing import NamedTuple

import numpy as np
import torch

logger = logging.getLogger(__name__)

BLOCK = 2**18  # values of float64 at a time


class TwoGaussians(NamedTuple):
    """A mixture; component 0 has the smaller mean: clean labels."""

    weights: torch.Tensor  # (2,) float64
    means: torch.Tensor  # (2,) float64
    stds: torch.Tensor  # (2,) float64


def fit_two_gaussians(x, num_groups=8192, tol=1e-6, max_iters=5000):
    """Fits a mixture of two Gaussians by maximum likelihood (SSRL, eq. 17).

    Deterministic: expectation maximisation starts from the split into two
    groups with the smallest spread. It runs on groups of neighbours in sorted
    order instead of on a million values, and may thus run until it converges
    where the components overlap; up to ``num_groups`` values it is exact.

    Arguments
    ---------
    x : torch.Tensor
        (N,) losses on their axis. Values that are not finite take no part:
        -inf is a loss of 0, NaN a loss not yet recorded.
    num_groups : int
        Number of groups that stand for the values.
    tol : float
        Ends the iterations: largest change of a weight, or of a mean or a
        standard deviation in units of that of all values.
    max_iters : int
        Limit on the iterations.

    Returns
    -------
    TwoGaussians or None
        None where there is nothing to tell apart: fewer than two distinct
        values, or a component with fewer than two of them.

    Example
    -------
    >>> mixture = fit_two_gaussians(torch.tensor([-5.0, -4, -4, -3, 0, 1, 2]))
    >>> mixture.means.round(decimals=2)
    tensor([-4.,  1.], dtype=torch.float64)
    """
    x = torch.as_tensor(x).detach().cpu().numpy()
    # a copy in its own type, sorted in place, for there may be many
    x = x[np.isfinite(x)]
    x.sort()
    if len(x) < 4:
        return None
    center, spread = _mean_and_std(x)
    largest = max(abs(float(x[0])), abs(float(x[-1])))
    if spread <= 1e-9 * largest:  # equal, but for rounding
        return None
    count, mean, square = _groups(x, num_groups, center, spread)

    posterior = _best_split(count, mean)  # (2, groups)
    parameters = _maximise(posterior, count, mean, square)
    for _ in range(max_iters):
        posterior = _posterior(mean, *parameters)
        previous = parameters
        parameters = _maximise(posterior, count, mean, square)
        if not np.isfinite(parameters).all():
            return None  # a component without any value
        if np.abs(parameters - previous).max() < tol:
            break
    weights, means, stds = parameters[:, parameters[1].argsort(kind="stable")]
    if weights.min() * len(x) < 2 - 1e-6:
        return None
    return TwoGaussians(
        torch.from_numpy(weights),
        torch.from_numpy(center + spread * means),
        torch.from_numpy(spread * stds),
    )


def clean_probability(x, mixture, monotone=False):
    """Posterior of the component with the smaller mean (SSRL, eq. 18).

    With unequal widths the posterior is not monotone: far from both means the
    wider component wins. Where that is the noisy one, the smallest losses are
    mistrusted; where it is the clean one, the largest are trusted. ``monotone``
    corrects both; ``mistaken_range`` says where it matters.

    Arguments
    ---------
    x : torch.Tensor
        (N,) losses on their axis, floating point. NaN, a loss not recorded,
        gives 1.
    mixture : TwoGaussians or None
        None gives 1 everywhere.
    monotone : bool
        False: as in the paper; +-inf give the limit of the posterior.
        True: values below the smaller mean are taken at that mean, values
        above the larger mean at that one; -inf, a loss of 0, gives 1.

    Returns
    -------
    torch.Tensor
        (N,) between 0 and 1, of the type and on the device of ``x``.

    Example
    -------
    >>> mixture = TwoGaussians(*torch.tensor([[0.5, 0.5], [-2, 2], [1, 2]]))
    >>> x = torch.tensor([-9.0, -2.0, 0.0, 2.0])
    >>> clean_probability(x, mixture).round(decimals=2)
    tensor([0.0000, 0.9400, 0.3100, 0.0000])
    >>> clean_probability(x, mixture, monotone=True).round(decimals=2)
    tensor([0.9400, 0.9400, 0.3100, 0.0000])
    """
    if mixture is None:
        return torch.ones_like(x)
    found = torch.empty_like(x)
    for part, place in zip(x.split(BLOCK), found.split(BLOCK), strict=True):
        place.copy_(_clean_probability(part, mixture, monotone))
    return found


def _clean_probability(x, mixture, monotone):
    """The same of a part of the losses."""
    smaller, larger = mixture.means.tolist()
    value = x.double()
    if monotone:
        value = value.clamp(smaller, larger)
    value = value.clamp(-1e100, 1e100)  # inf - inf would be NaN
    a, b, c = _log_odds(mixture)
    value = value - (smaller + larger) / 2
    probability = torch.sigmoid((a * value + b) * value + c)
    clean = x.isnan() | (x == -math.inf) if monotone else x.isnan()
    return probability.masked_fill(clean, 1.0).to(x.dtype)


def mistaken_range(mixture):
    """Where a larger loss means a cleaner label (SSRL, eq. 18, as printed).

    Arguments
    ---------
    mixture : TwoGaussians

    Returns
    -------
    (float, float) or None
        Ends on the axis of the mixture: from -inf, below the smaller mean,
        where the noisy component is the wider; to inf, above the larger mean,
        where the clean one is. None where both are equally wide.

    Example
    -------
    >>> mistaken_range(
    ...     TwoGaussians(*torch.tensor([[0.5, 0.5], [-2, 2], [1, 2]]))
    ... )
    (-inf, -3.3333333333333335)
    >>> mistaken_range(
    ...     TwoGaussians(*torch.tensor([[0.5, 0.5], [-2, 2], [2, 1]]))
    ... )
    (3.3333333333333335, inf)
    """
    a, b, _ = _log_odds(mixture)
    if a == 0:
        return None
    turn = mixture.means.mean().item() - b / (2 * a)
    return (-math.inf, turn) if a < 0 else (turn, math.inf)


def loss_gate(mixture):
    """Where both weighted densities are equal (DLG-LC, eq. 8).

    Between the two means there is one such point or none. None, because one
    component is the denser all the way: the gate is then at the mean of the
    other, where the point would leave the interval, and a warning is logged.

    Arguments
    ---------
    mixture : TwoGaussians or None
        None, nothing to tell apart, opens the gate: inf.

    Returns
    -------
    float
        The gate, on the axis of the mixture.

    Example
    -------
    >>> loss_gate(TwoGaussians(*torch.tensor([[0.5, 0.5], [-2, 1], [1, 1]])))
    -0.5
    """
    if mixture is None:
        return math.inf
    smaller, larger = mixture.means.tolist()
    a, b, c = _log_odds(mixture)
    half = (larger - smaller) / 2
    # the log odds fall from one mean to the other
    if a * half**2 - b * half + c <= 0:
        gate = smaller
    elif a * half**2 + b * half + c >= 0:
        gate = larger
    else:
        # of both roots the one where they fall; good for equal widths, a = 0
        root = 2 * c / (-b + math.sqrt(b**2 - 4 * a * c))
        return (smaller + larger) / 2 + root
    logger.warning(
        "One Gaussian hides the other between their means %.3g and %.3g: "
        "the loss gate is set to %.3g on their axis.",
        smaller,
        larger,
        gate,
    )
    return gate


def _mean_and_std(x):
    """Of all values, of which a few at a time are made float64."""
    parts = np.array_split(x, len(x) // BLOCK + 1)
    mean = sum(part.astype(np.float64).sum() for part in parts) / len(x)
    squares = (np.square(part.astype(np.float64) - mean) for part in parts)
    return mean, np.sqrt(sum(part.sum() for part in squares) / len(x))


def _groups(x, num_groups, center, spread):
    """Size, mean and mean square of equally large groups of sorted values.

    The values are centred and scaled, a few groups at a time.
    """
    num_groups = min(num_groups, len(x))
    start = np.arange(num_groups + 1) * len(x) // num_groups
    count = np.diff(start)
    blocks = np.array_split(
        np.arange(num_groups), min(len(x) // BLOCK + 1, num_groups)
    )
    sums = []
    for groups in blocks:
        first, end = start[groups[0]], start[groups[-1] + 1]
        values = (x[first:end].astype(np.float64) - center) / spread
        sums.append(
            [
                np.add.reduceat(power, start[groups] - first)
                for power in (values, values**2)
            ]
        )
    mean, square = np.concatenate(sums, axis=1) / count
    return count, mean, square


def _best_split(count, mean):
    """(2, groups) of 0 and 1: the split with the least variance within."""
    below = count.cumsum()[:-1]
    total = (count * mean).cumsum()
    above = count.sum() - below
    between = total[:-1] ** 2 / below + (total[-1] - total[:-1]) ** 2 / above
    lower = np.arange(len(count)) <= between.argmax()
    return np.stack([lower, ~lower]).astype(float)


def _maximise(posterior, count, mean, square):
    """(3, 2) weights, means and standard deviations of both components."""
    mass = posterior * count
    total = mass.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (mass * mean).sum(1) / total
        variance = (mass * square).sum(1) / total - means**2
    # as scikit-learn's reg_covar: no component shrinks onto a single value
    stds = np.sqrt(np.maximum(variance, 0) + 1e-6)
    return np.stack([total / total.sum(), means, stds])


def _posterior(x, weights, means, stds):
    """(2, groups) posterior of both components."""
    z = (x - means[:, None]) / stds[:, None]
    with np.errstate(divide="ignore"):
        log_density = np.log(weights / stds)[:, None] - z**2 / 2
    difference = np.clip(log_density[1] - log_density[0], -700, 700)
    first = 1 / (1 + np.exp(difference))
    return np.stack([first, 1 - first])


def _log_odds(mixture):
    """Coefficients of a t^2 + b t + c, with t from the middle of the means."""
    (weight_0, weight_1), (mean_0, mean_1), (std_0, std_1) = (
        values.tolist() for values in mixture
    )
    half = (mean_1 - mean_0) / 2
    a = (std_1**-2 - std_0**-2) / 2
    b = -half * (std_0**-2 + std_1**-2)
    c = math.log(weight_0 * std_1 / (weight_1 * std_0)) + a * half**2
    return a, b, c
