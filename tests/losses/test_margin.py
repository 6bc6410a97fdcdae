"""Margin losses against the toolkit's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper

from ssrl_brain.losses.margin import (
    CrossEntropy,
    MarginCrossEntropy,
    cross_entropy,
)


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


def exact(logits, label):
    """ln(1 + the sum over the others of exp(l_j - l_y)) in double precision."""
    own = logits[label]
    others = [math.exp(x - own) for j, x in enumerate(logits) if j != label]
    return math.log1p(math.fsum(others))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-32, 32, width=32), min_size=2, max_size=9), st.data()
)
def test_losses_are_exact_however_small(logits, data):
    """Down to 1e-28, where single precision of a softmax ends at 6e-8."""
    label = data.draw(st.integers(0, len(logits) - 1))
    found = cross_entropy(torch.tensor([logits]), torch.tensor([label]))
    assert found.item() == pytest.approx(exact(logits, label), rel=2e-5)
    # of posteriors' logarithms as well, which is what a teacher has
    log_probs = torch.tensor([logits]).log_softmax(-1)
    found = cross_entropy(log_probs, torch.tensor([label]))
    assert found.item() == pytest.approx(exact(logits, label), rel=1e-4)


def test_a_loss_is_never_zero_and_keeps_its_gradient():
    """Gaps of 20 to 1,000; by way of the softmax all are 0."""
    logits = torch.zeros(5, 3)
    logits[:, 0] = torch.tensor([20.0, 30.0, 60.0, 80.0, 1000.0])
    labels = torch.zeros(5, dtype=torch.long)
    assert not torch.nn.functional.cross_entropy(
        logits[1:], labels[1:], reduction="none"
    ).any()
    logits.requires_grad_()
    losses = cross_entropy(logits, labels)
    assert (losses > 0).all() and losses.log().isfinite().all()
    expected = [math.log(2) - gap for gap in (20, 30, 60, 80)]
    torch.testing.assert_close(losses[:4].log(), torch.tensor(expected))
    losses.sum().backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[1, 0].item() == pytest.approx(
        -2 * math.exp(-30), rel=1e-5
    )


def test_a_single_class_has_no_loss_and_no_nan():
    logits = torch.ones(2, 1, requires_grad=True)
    loss = cross_entropy(logits, torch.zeros(2, dtype=torch.long))
    loss.sum().backward()
    assert loss.max() < 1e-37 and not logits.grad.any()


def test_half_precision_is_raised():
    logits = torch.tensor([[12.0, 0.0]], dtype=torch.half)
    loss = cross_entropy(logits, torch.tensor([0]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log1p(math.exp(-12)), rel=1e-5)
