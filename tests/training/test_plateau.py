"""The learning rate that falls on plateaus."""

import math

import pytest
import torch

from ssrl_brain.training.plateau import ReduceOnPlateau
from ssrl_brain.training.schedules import Constant, Linear


def rates(rate, losses):
    """Learning rate of each epoch, the one after the last included."""
    found = [rate(0)]
    for epoch, loss in enumerate(losses, 1):
        rate.observe(loss)
        found.append(rate(epoch))
    return found


def test_two_plateaus_by_hand():
    losses = [4, 3, 2.99, 2.98, 2, 2, 2, 1]  # 1 % below 3 is 2.97
    found = rates(ReduceOnPlateau(Constant(0.1)), losses)
    expected = [0.1] * 4 + [0.01] * 3 + [0.001] * 2
    assert found == pytest.approx(expected)


def test_the_toolkit_of_pytorch_agrees():
    torch.manual_seed(0)
    losses = (4 * torch.exp(-torch.arange(60) / 9) + torch.rand(60)).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, patience=2, threshold=0.01, eps=0.0
    )
    expected = [0.1]
    for loss in losses:
        theirs.step(loss)
        expected.append(optimizer.param_groups[0]["lr"])
    # PyTorch counts the epochs that it tolerates
    ours = ReduceOnPlateau(Constant(0.1), patience=3)
    assert rates(ours, losses) == pytest.approx(expected)
    assert expected[-1] < 0.01


def test_infinite_patience_is_the_plain_schedule():
    schedule = Linear(1.0, 0.0, 4)
    rate = ReduceOnPlateau(schedule, patience=math.inf)
    assert rates(rate, [1, 1, 1, 1]) == [schedule(e) for e in range(5)]


def test_a_recovered_one_goes_on_alike():
    losses = [3.0, 2.9999999, 2.99999, 3.1, 2.0, 2.0, 2.0, 1.99]
    straight = rates(ReduceOnPlateau(Constant(1.0)), losses)
    for cut in range(len(losses)):
        first, second = (ReduceOnPlateau(Constant(1.0)) for _ in range(2))
        rates(first, losses[:cut])
        second.load_state_dict(first.state_dict())
        assert rates(second, losses[cut:]) == straight[cut:]


def test_a_loss_that_is_no_number_is_no_progress():
    rate = ReduceOnPlateau(Constant(1.0), patience=1)
    assert rates(rate, [1.0, math.nan, 0.5]) == pytest.approx([1, 1, 0.1, 0.1])
