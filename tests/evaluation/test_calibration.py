"""Calibration of scores; values by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.evaluation.calibration import (
    Calibration,
    cllr,
    fit_calibration,
    min_cllr,
)


def test_cllr_by_hand():
    """A ratio of 3 for a trial of one speaker costs log2(1 + 1/3), ..."""
    llr = np.log([3.0, 1.0, 0.5])
    expected = ((np.log2(4 / 3) + 1.0) / 2 + np.log2(1.5)) / 2
    assert cllr(llr, [1, 1, 0]) == pytest.approx(expected)
    assert cllr([np.inf, -np.inf], [1, 0]) == 0
    assert cllr([-np.inf, 0.0], [1, 0]) == np.inf


def test_min_cllr_by_hand():
    """Sorted labels 0 1 0 1: the middle two share a posterior of a half."""
    assert min_cllr([0, 1, 2, 3], [0, 1, 0, 1]) == pytest.approx(0.5)
    # three of one speaker, one of two; only the order 0 1 1 1 is perfect
    assert min_cllr([0, 1, 2, 3], [0, 1, 1, 1]) == 0
    # all pooled: ratio 1 everywhere
    assert min_cllr([3, 2, 1, 0], [0, 0, 1, 1]) == pytest.approx(1)
    # equal scores cannot be told apart
    assert min_cllr([1, 1], [0, 1]) == pytest.approx(1)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-3, 3))
def test_no_increasing_map_is_better_than_the_minimum(seed, slope, offset):
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(60) % 3 == 0).astype(int)
    scores = generator.standard_normal(60) + labels
    calibration = Calibration(slope, offset)
    lowest = min_cllr(scores, labels)
    assert lowest <= cllr(calibration.llr(scores), labels) + 1e-9
    assert lowest == pytest.approx(min_cllr(slope * scores + offset, labels))
    assert 0 <= lowest <= 1


def test_gaussians_have_the_known_ratio():
    """N(1, 1) against N(-1, 1): the log likelihood ratio is 2 x."""
    generator = np.random.default_rng(0)
    labels = (np.arange(40000) % 4 == 0).astype(int)  # priors do not matter
    scores = generator.standard_normal(40000) + 2 * labels - 1
    found = fit_calibration(scores, labels)
    assert found.slope == pytest.approx(2, abs=0.1)
    assert found.offset == pytest.approx(0, abs=0.05)
    assert found.threshold(0.5) == pytest.approx(0, abs=0.03)
    worth = cllr(found.llr(scores), labels)
    assert worth - 0.01 < min_cllr(scores, labels) <= worth


def test_a_scale_of_scores_does_not_matter():
    generator = np.random.default_rng(1)
    labels = np.arange(200) % 2
    scores = 0.1 * generator.standard_normal(200) + 0.1 * labels
    narrow, wide = (fit_calibration(f * scores, labels) for f in (1, 1000))
    assert narrow.threshold() == pytest.approx(
        wide.threshold() / 1000, rel=0.01
    )


def test_separable_scores_stay_finite():
    scores, labels = np.r_[np.zeros(20), np.ones(20)], np.arange(40) // 20
    found = fit_calibration(scores, labels)
    assert np.isfinite(found).all()
    assert found.threshold() == pytest.approx(0.5, abs=0.05)


def test_what_cannot_be_calibrated_says_so():
    with pytest.raises(ValueError, match="10 trials of each kind"):
        fit_calibration(np.arange(15), np.arange(15) // 9)
    with pytest.raises(ValueError, match="check the labels"):
        fit_calibration(-np.arange(40.0), np.arange(40) // 20)
