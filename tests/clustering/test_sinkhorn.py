"""Sinkhorn-Knopp against its definition and an independent solver."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering.sinkhorn import sinkhorn_knopp


def random_probs(num_rows, num_clusters, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(
        num_rows, num_clusters, generator=generator, dtype=torch.float64
    )
    return (spread * logits).softmax(1)


@pytest.mark.parametrize("sharpness", [0.5, 5, 20])
def test_equals_an_independent_solver(sharpness):
    ot = pytest.importorskip("ot")
    probs = random_probs(40, 7)
    plan = sinkhorn_knopp(probs, sharpness, tol=1e-10, max_iters=20000)
    rows, columns = torch.full((40,), 1 / 40), torch.full((7,), 1 / 7)
    expected = ot.sinkhorn(
        rows.double().numpy(),
        columns.double().numpy(),
        -probs.numpy(),
        reg=1 / sharpness,
        stopThr=1e-11,
        numItermax=20000,
        warn=False,
    )
    torch.testing.assert_close(
        plan, torch.from_numpy(expected), atol=1e-8, rtol=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 8),
    st.floats(0, 30),
    st.sampled_from([torch.float16, torch.float32, torch.float64]),
)
def test_plan_has_the_form_and_the_margins(rows, columns, sharpness, dtype):
    probs = random_probs(rows, columns, spread=1.0).to(dtype)
    plan = sinkhorn_knopp(probs, sharpness, tol=1e-3, max_iters=20000)
    assert plan.dtype == torch.promote_types(dtype, torch.float32)
    plan = plan.double()
    row_mass, column_mass = plan.sum(1) * rows, plan.sum(0) * columns
    torch.testing.assert_close(
        row_mass, torch.ones_like(row_mass), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        column_mass, torch.ones_like(column_mass), atol=1.1e-3, rtol=0
    )
    # log Q - sharpness * p is a sum of a row and a column term: eq. 15
    rest = plan.log() - sharpness * probs.double()
    rest = rest - rest[:1] - rest[:, :1] + rest[0, 0]
    assert rest.abs().max() < 1e-3


def test_two_by_two_by_hand():
    # by symmetry u = v: the diagonal is e^s/(e^s + 1)/2 with s = 2*0.6/2
    probs = torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64)
    diagonal = torch.tensor(2 * 0.6, dtype=torch.float64).sigmoid() / 2
    plan = sinkhorn_knopp(probs, sharpness=2.0)
    assert plan[0, 0].item() == pytest.approx(diagonal.item())
    assert plan.sum().item() == pytest.approx(1)


def test_no_sharpness_is_the_uniform_plan():
    plan = sinkhorn_knopp(random_probs(6, 3), sharpness=0)
    torch.testing.assert_close(plan, torch.full_like(plan, 1 / 18))


def test_much_sharpness_neither_overflows_nor_empties_a_cluster():
    probs = random_probs(60, 6).float()
    probs[:, 0] += 5  # all prefer the first cluster
    plan = sinkhorn_knopp(probs, sharpness=1000.0, tol=0.05, max_iters=5000)
    assert plan.isfinite().all()
    assert (plan.argmax(1).bincount(minlength=6) >= 5).all()


def test_a_preference_of_all_for_one_cluster_does_not_count():
    probs = random_probs(20, 4)
    plan = sinkhorn_knopp(probs, 10, tol=1e-9, max_iters=5000)
    probs = probs + torch.tensor([0.5, 0, 0, 0])
    shifted = sinkhorn_knopp(probs, 10, tol=1e-9, max_iters=5000)
    torch.testing.assert_close(plan, shifted, atol=1e-8, rtol=1e-5)


def test_running_out_of_iterations_is_told_and_leaves_whole_rows(caplog):
    with caplog.at_level(logging.WARNING):
        plan = sinkhorn_knopp(random_probs(64, 8), 50.0, max_iters=1)
    assert "after 1 iterations" in caplog.text
    torch.testing.assert_close(plan.sum(1), torch.full_like(plan[:, 0], 1 / 64))


def test_converging_is_silent_and_without_gradient(caplog):
    probs = random_probs(8, 2).requires_grad_()
    assert not sinkhorn_knopp(probs, 1.0).requires_grad
    assert caplog.text == ""


@pytest.mark.parametrize(
    "probs, sharpness, message",
    [
        (torch.zeros(0, 3), 1, r"must be \(N, K\)"),
        (torch.zeros(3, 0), 1, r"must be \(N, K\)"),
        (torch.zeros(3), 1, r"must be \(N, K\)"),
        (torch.full((2, 2), torch.nan), 1, "4 probs are not finite"),
        (torch.ones(2, 2), -1, "sharpness must not be negative"),
    ],
)
def test_unusable_input_is_named(probs, sharpness, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_knopp(probs, sharpness)
