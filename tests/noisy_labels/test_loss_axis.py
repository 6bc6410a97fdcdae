"""Axes of the losses: there and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ssrl_brain.noisy_labels.loss_axis import LogLoss, LogOdds


@pytest.mark.parametrize("axis", [LogLoss(), LogOdds()])
@given(loss=st.floats(1e-6, 1e3))
def test_there_and_back(axis, loss):
    loss = torch.tensor(loss, dtype=torch.float64)
    back = axis.to_loss(axis.of(loss))
    assert back.item() == pytest.approx(loss.item(), rel=1e-9)


@pytest.mark.parametrize("axis", [LogLoss(), LogOdds()])
def test_edges(axis):
    losses = torch.tensor([0.0, 1e-30, 200.0, torch.inf, torch.nan])
    x = axis.of(losses)
    assert x[0] == -torch.inf and x[3] == torch.inf and x[4].isnan()
    assert x[1:3].isfinite().all()
    assert axis.to_loss(torch.tensor(torch.inf)) == torch.inf


def test_log_odds_are_those_of_the_posterior():
    logits = torch.tensor([[1.0, 3.0], [2.0, -1.0]])
    loss = torch.nn.functional.cross_entropy(
        logits, torch.tensor([0, 0]), reduction="none"
    )
    torch.testing.assert_close(LogOdds().of(loss), torch.tensor([2.0, -3.0]))
