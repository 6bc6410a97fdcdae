"""Scores as log likelihood ratios, and what they are worth as such.

A threshold fits one mixture of trials and one pair of costs. A calibrated
score says how much likelier it is under one speaker than under two, so that
any prior gives its own threshold (Brümmer and du Preez 2006).
"""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.special
import sklearn.isotonic
import sklearn.linear_model

MINIMUM = 10  # trials of each kind to fit two numbers to


class Calibration(NamedTuple):
    """log likelihood ratio = slope * score + offset."""

    slope: float
    offset: float

    def llr(self, scores):
        """Natural logarithm of the likelihood ratio of each score (M,)."""
        return self.slope * np.asarray(scores, dtype=np.float64) + self.offset

    def threshold(self, prior=0.5):
        """Score above which one speaker is the likelier, at equal costs.

        Example
        -------
        >>> Calibration(slope=10.0, offset=-4.0).threshold()
        0.4
        >>> round(Calibration(slope=10.0, offset=-4.0).threshold(0.01), 3)
        0.86
        """
        return float((-scipy.special.logit(prior) - self.offset) / self.slope)


def fit_calibration(scores, labels):
    """Logistic regression of the labels on the scores, both kinds alike.

    Arguments
    ---------
    scores : array_like
        (M,)
    labels : array_like
        (M,) 1 for the same speaker, 0 otherwise.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        With fewer than ten trials of a kind, or where higher scores do not
        speak for one speaker.

    Example
    -------
    >>> scores = np.r_[np.linspace(0, 0.6, 20), np.linspace(0.4, 1, 20)]
    >>> found = fit_calibration(scores, np.arange(40) // 20)
    >>> round(found.threshold(), 2)
    0.5
    """
    scores = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(labels)
    fewest = int(min((labels == 1).sum(), (labels == 0).sum()))
    if fewest < MINIMUM:
        raise ValueError(
            f"a calibration needs {MINIMUM} trials of each kind, the list has "
            f"{fewest} of one: give a longer list, or --calibrate=False"
        )
    spread = scores.std() or 1.0
    # hardly any penalty, but where nothing is confused the slope stays finite
    model = sklearn.linear_model.LogisticRegression(
        C=1000.0, class_weight="balanced", max_iter=1000
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        model.fit(scores[:, None] / spread, labels)
    slope = float(model.coef_[0, 0] / spread)
    if slope <= 0:
        raise ValueError(
            "trials of one speaker do not score higher than others: check the "
            "labels of the list"
        )
    return Calibration(slope, float(model.intercept_[0]))


def cllr(llr, labels):
    """Cost of log likelihood ratios over all thresholds, in bits.

    Arguments
    ---------
    llr : array_like
        (M,) natural logarithms; may be infinite.
    labels : array_like
        (M,) 1 for the same speaker, 0 otherwise.

    Returns
    -------
    float
        0 is perfect, 1 is what always saying "as likely" costs.

    Example
    -------
    >>> cllr([0.0, 0.0], [1, 0])
    1.0
    """
    llr, labels = np.asarray(llr, dtype=np.float64), np.asarray(labels)
    missed = np.logaddexp(0, -llr[labels == 1]).mean()
    alarmed = np.logaddexp(0, llr[labels == 0]).mean()
    return float((missed + alarmed) / (2 * np.log(2)))


def min_cllr(scores, labels):
    """``cllr`` after the best calibration that keeps the order of the scores.

    The pool adjacent violators algorithm finds it.

    Arguments
    ---------
    scores, labels : array_like
        (M,)

    Returns
    -------
    float

    Example
    -------
    >>> min_cllr([3.0, 1.0, 2.0, 0.0], [1, 1, 0, 0])
    0.5
    """
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    posterior = sklearn.isotonic.IsotonicRegression(y_min=0, y_max=1)
    fitted = posterior.fit_transform(scores, labels)
    prior = labels.mean()
    llr = scipy.special.logit(fitted) - scipy.special.logit(prior)
    return cllr(llr, labels)
