"""Margin losses against the toolkit's."""

import math

import pytest
import torch
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from ssrl_brain.losses.margin import CrossEntropy, MarginCrossEntropy


@pytest.fixture
def cosine():
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(6, 9, generator=generator) * 2 - 1).requires_grad_()


LABELS = torch.tensor([0, 3, 8, 3, 1, 2])


@pytest.mark.parametrize("margin, scale", [(0.2, 32.0), (0.0, 30.0)])
def test_mean_and_gradient_equal_the_toolkits(cosine, margin, scale):
    margin_fn = AdditiveAngularMargin(margin=margin, scale=scale)
    losses = MarginCrossEntropy(margin_fn)(cosine, LABELS)
    assert losses.shape == (6,)
    (mine,) = torch.autograd.grad(losses.mean(), cosine)
    toolkit = LogSoftmaxWrapper(margin_fn)(cosine[:, None], LABELS[:, None])
    (theirs,) = torch.autograd.grad(toolkit, cosine)
    torch.testing.assert_close(losses.mean(), toolkit)
    torch.testing.assert_close(mine, theirs)


def test_each_loss_by_hand():
    """Angle 60 degrees, margin 30 degrees: cos 90 degrees = 0; the other
    cosine is 0.5, so the loss is log(1 + exp(scale / 2))."""
    margin_fn = AdditiveAngularMargin(margin=math.pi / 6, scale=4.0)
    cosine = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    losses = MarginCrossEntropy(margin_fn)(cosine, torch.tensor([0, 1]))
    # second row: angle 0 becomes 30 degrees
    other = math.log(1 + math.exp(-4 * math.cos(math.pi / 6)))
    expected = torch.tensor([math.log(1 + math.exp(2)), other])
    torch.testing.assert_close(losses, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("value", [1.0, -1.0, 1.004, -1.004])
def test_cosines_of_half_precision_give_finite_gradients(value):
    cosine = torch.tensor([[value, 0.1]], requires_grad=True)
    loss = MarginCrossEntropy(AdditiveAngularMargin(margin=0.2, scale=32.0))
    result = loss(cosine, torch.tensor([0]))
    result.sum().backward()
    assert result.isfinite().all() and cosine.grad.isfinite().all()


def test_posteriors_come_without_margin(cosine):
    loss = MarginCrossEntropy(AdditiveAngularMargin(margin=0.2, scale=32.0))
    torch.testing.assert_close(loss.logits(cosine), 32 * cosine)


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    losses = CrossEntropy()(logits, torch.tensor([0, 1]))
    expected = torch.tensor([math.log(4 / 3), math.log(2)])
    torch.testing.assert_close(losses, expected)
    assert torch.equal(CrossEntropy().logits(logits), logits)
