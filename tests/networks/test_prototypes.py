"""Cosines with prototypes, and their gradients."""

import pytest
import torch
import torch.nn.functional as F

from ssrl_brain.networks.prototypes import prototype_cosines


def make(num_rows=4, num_prototypes=6, dim=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(num_rows, dim, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(
        num_prototypes, dim, generator=generator, dtype=torch.float64
    )
    return (
        F.normalize(x, dim=1).requires_grad_(),
        prototypes.mul(3).requires_grad_(),
    )


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(prototype_cosines, make())


def test_it_is_the_product_with_normalised_prototypes():
    x, prototypes = make()
    weights = torch.arange(24.0, dtype=torch.float64).view(4, 6)
    expected = x @ F.normalize(prototypes, dim=1).T
    found = prototype_cosines(x, prototypes)
    torch.testing.assert_close(found, expected)
    for mine, other in zip(
        torch.autograd.grad(found, (x, prototypes), weights),
        torch.autograd.grad(expected, (x, prototypes), weights),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("frozen", [0, 1])
def test_what_is_frozen_gets_no_gradient(frozen):
    inputs = make()
    inputs[frozen].requires_grad_(False)
    prototype_cosines(*inputs).sum().backward()
    assert inputs[frozen].grad is None
    assert inputs[1 - frozen].grad.abs().sum() > 0


def test_a_prototype_gets_no_gradient_along_itself():
    x, prototypes = make()
    prototype_cosines(x, prototypes).square().sum().backward()
    along = (prototypes.grad * prototypes.detach()).sum(1)
    torch.testing.assert_close(along, torch.zeros_like(along))
