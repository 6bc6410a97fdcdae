"""Histograms of losses, against counting by hand."""

import math

import numpy as np
import pytest
import torch

from ssrl_brain.noisy_labels.histograms import histogram, loss_histograms


def test_histogram_counts_what_is_finite():
    x = torch.tensor([0.0, 0.9, 1.0, 4.0, -math.inf, math.inf, math.nan])
    assert histogram(x, num_bins=4) == {
        "low": 0.0,
        "high": 4.0,
        "counts": [2, 1, 0, 1],
    }
    assert sum(histogram(x[4:])["counts"]) == 0
    assert sum(histogram(torch.ones(5))["counts"]) == 5


def test_pairs_of_right_and_wrong_labels():
    """Of 2 x 3 pairs the wrong label has the larger loss in 4, one is even."""
    x = torch.tensor([-torch.inf, 1.0, 0.0, 1.0, torch.inf, torch.nan])
    right = np.array([True, True, False, False, False, True])
    found = loss_histograms(x, right)
    assert found["loss_auc"] == pytest.approx((3 + 1 + 1 / 2) / 6)
    assert sum(found["loss_histogram_wrong"]["counts"]) == 2  # finite ones


@pytest.mark.parametrize("right", [np.ones(3, bool), np.zeros(3, bool), None])
def test_no_pairs(right):
    assert "loss_auc" not in loss_histograms(torch.arange(3.0), right)
