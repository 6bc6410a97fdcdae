"""The contrastive loss against its equations, as loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.losses.contrastive import NTXentLoss


def cosine(x, y):
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.hypot(*x) / math.hypot(*y)


def csl_by_the_book(first, second, temperature, positive_in_denominator):
    """Iterative framework, eq. 2-3; negatives are all 2(M - 1) crops of
    other utterances, as the text below the equation says.
    """
    z = list(zip(first.tolist(), second.tolist(), strict=True))
    losses = []
    for i, pair in enumerate(z):
        loss = []
        for anchor in pair:
            positive = math.exp(cosine(*pair) / temperature)
            denominator = positive if positive_in_denominator else 0.0
            for k, negatives in enumerate(z):
                for negative in negatives:
                    if k != i:
                        denominator += math.exp(
                            cosine(anchor, negative) / temperature
                        )
            loss.append(-math.log(positive / denominator))
        losses.append(sum(loss) / 2)
    return torch.tensor(losses)


@pytest.mark.parametrize("positive_in_denominator", [False, True])
@pytest.mark.parametrize("num, temperature", [(2, 1.0), (5, 0.1)])
def test_equals_the_published_sums(num, temperature, positive_in_denominator):
    torch.manual_seed(0)
    first, second = torch.randn(2, num, 4)
    loss = NTXentLoss(temperature, positive_in_denominator)
    expected = csl_by_the_book(
        first, second, temperature, positive_in_denominator
    )
    torch.testing.assert_close(loss(first, second), expected)


def test_by_hand():
    """Positives have cosine 1, all four negatives 0, at temperature 1:
    log(2 e^0) - 1, and with the positive log(2 + e) - 1."""
    both = torch.eye(2)
    expected = torch.full((2,), math.log(2) - 1)
    torch.testing.assert_close(NTXentLoss(1.0)(both, both), expected)
    expected = torch.full((2,), math.log(2 + math.e) - 1)
    torch.testing.assert_close(NTXentLoss(1.0, True)(both, both), expected)


def test_simclr_is_a_cross_entropy_over_other_views():
    """With the positive in it, the denominator is SimCLR's own."""
    torch.manual_seed(0)
    views = torch.nn.functional.normalize(torch.randn(6, 5), dim=-1)
    similarity = (views @ views.T / 0.5).fill_diagonal_(-torch.inf)
    labels = torch.tensor([3, 4, 5, 0, 1, 2])
    expected = torch.nn.functional.cross_entropy(similarity, labels)
    found = NTXentLoss(0.5, True)(views[:3], views[3:]).mean()
    torch.testing.assert_close(found, expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_views_are_interchangeable_and_lengths_do_not_count(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, 4, 3, generator=generator)
    loss = NTXentLoss()
    expected = loss(first, second)
    torch.testing.assert_close(
        loss(second * scale, first), expected, atol=1e-4, rtol=1e-4
    )
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(
        loss(first[order], second[order]), expected[order]
    )


def test_gradient_reaches_both_views():
    first, second = torch.randn(2, 3, 4).requires_grad_()
    first.retain_grad()
    second.retain_grad()
    NTXentLoss()(first, second).mean().backward()
    assert first.grad.abs().sum() > 0 and second.grad.abs().sum() > 0


def test_one_utterance_has_no_negatives():
    with pytest.raises(ValueError, match="needs two utterances"):
        NTXentLoss()(torch.ones(1, 2), torch.ones(1, 2))


def test_cosines_are_as_exact_inside_of_autocast():
    torch.manual_seed(0)
    first, second = torch.randn(2, 6, 192)
    expected = NTXentLoss()(first, second)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(NTXentLoss()(first, second), expected)
