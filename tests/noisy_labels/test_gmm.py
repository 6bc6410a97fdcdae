"""The two Gaussians: fit, posterior and gate, also where nothing fits."""

import logging
import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

from ssrl_brain.noisy_labels.gmm import (
    TwoGaussians,
    clean_probability,
    fit_two_gaussians,
    loss_gate,
    mistaken_range,
)


def two_gaussians(weight, means, stds):
    """Mixture with ``weight`` on the first component."""
    rows = [[weight, 1 - weight], means, stds]
    return TwoGaussians(*torch.tensor(rows, dtype=torch.float64))


def sample(num_rows, weight, means, stds, seed=0):
    """Quantiles of both components: a sample without chance, shuffled."""
    sizes = round(weight * num_rows), num_rows - round(weight * num_rows)
    values = [
        scipy.stats.norm.ppf((np.arange(n) + 0.5) / n, mean, std)
        for n, mean, std in zip(sizes, means, stds, strict=True)
    ]
    return torch.from_numpy(
        np.random.default_rng(seed).permutation(np.concatenate(values))
    )


def densities(mixture, x):
    """(2, N) weighted densities by scipy."""
    return np.stack(
        [
            weight * scipy.stats.norm.pdf(x, mean, std)
            for weight, mean, std in np.stack([v.numpy() for v in mixture]).T
        ]
    )


mixtures = st.builds(
    lambda weight, low, gap, one, two: two_gaussians(
        weight, [low, low + gap], [one, two]
    ),
    st.floats(0.05, 0.95),
    st.floats(-8, 2),
    st.floats(0.1, 6),
    st.floats(0.2, 3),
    st.floats(0.2, 3),
)


# ---------------------------------- fit ----------------------------------


@pytest.mark.parametrize(
    "weight, means, stds",
    [
        (0.8, (-6, 1), (2, 0.7)),
        (0.3, (-4, -1), (0.5, 1.0)),
        (0.5, (-2, 3), (1, 1)),
    ],
)
def test_recovers_the_parameters(weight, means, stds):
    mixture = fit_two_gaussians(sample(20000, weight, means, stds))
    expected = two_gaussians(weight, means, stds)
    for found, true in zip(mixture, expected, strict=True):
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, true, atol=0.01, rtol=0)


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(-3, 1.5, 300), rng.normal(1, 0.8, 150)])
    oracle = GaussianMixture(2, tol=1e-12, max_iter=10000, random_state=0)
    oracle.fit(x[:, None])
    order = oracle.means_.ravel().argsort()
    mixture = fit_two_gaussians(torch.from_numpy(x), tol=1e-9)
    expected = oracle.weights_, oracle.means_, oracle.covariances_**0.5
    for found, true in zip(mixture, expected, strict=True):
        np.testing.assert_allclose(found, true.ravel()[order], atol=1e-4)
    posterior = oracle.predict_proba(x[:, None])[:, order[0]]
    found = clean_probability(torch.from_numpy(x), mixture)
    np.testing.assert_allclose(found, posterior, atol=1e-4)


def test_groups_stand_for_many_values():
    x = sample(30000, 0.6, (-2, 1), (1.2, 0.8))
    exact = fit_two_gaussians(x, num_groups=len(x))
    grouped = fit_two_gaussians(x, num_groups=2000)
    for found, true in zip(grouped, exact, strict=True):
        torch.testing.assert_close(found, true, atol=2e-3, rtol=0)


def test_order_scale_and_place_do_not_matter():
    x = sample(2000, 0.7, (-4, 1), (1, 0.8))
    mixture = fit_two_gaussians(x)
    again = fit_two_gaussians(x.flip(0))
    for found, true in zip(again, mixture, strict=True):
        assert torch.equal(found, true)
    moved = fit_two_gaussians(1000 + 0.01 * x)
    torch.testing.assert_close(moved.weights, mixture.weights)
    torch.testing.assert_close(moved.means, 1000 + 0.01 * mixture.means)
    torch.testing.assert_close(moved.stds, 0.01 * mixture.stds)


def test_values_that_are_not_finite_take_no_part():
    x = sample(2000, 0.7, (-4, 1), (1, 0.8))
    more = torch.cat([x, torch.tensor([-math.inf, math.nan, math.inf])])
    for found, true in zip(
        fit_two_gaussians(more), fit_two_gaussians(x), strict=True
    ):
        assert torch.equal(found, true)


@pytest.mark.parametrize(
    "x",
    [
        [],
        [1.0],
        [1.0, 2.0],
        [0.1] * 1000,
        [0.0] * 10,
        [-math.inf] * 10,
        [math.nan] * 10,
        [-math.inf, 3.0, 3.0, math.nan],
        [0.5] * 99 + [9.0],  # the second component is a single value
    ],
)
def test_nothing_to_tell_apart(x):
    x = torch.tensor(x)
    assert fit_two_gaussians(x) is None
    assert clean_probability(x, None).eq(1).all()
    assert loss_gate(None) == math.inf


def test_two_values_are_two_components():
    mixture = fit_two_gaussians(torch.tensor([1.0] * 30 + [5.0] * 10))
    torch.testing.assert_close(
        mixture.weights, torch.tensor([0.75, 0.25]).double()
    )
    torch.testing.assert_close(mixture.means, torch.tensor([1.0, 5.0]).double())
    assert 1 < loss_gate(mixture) < 5


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(-110, 10, width=32),
            st.sampled_from([0.0, -math.inf, math.inf, math.nan]),
        ),
        max_size=40,
    )
)
def test_always_none_or_a_mixture_and_never_nan(values):
    x = torch.tensor(values, dtype=torch.float32)
    mixture = fit_two_gaussians(x)
    for monotone in (False, True):
        probability = clean_probability(x, mixture, monotone)
        assert ((0 <= probability) & (probability <= 1)).all()
    if mixture is None:
        return
    assert mixture.weights.sum().item() == pytest.approx(1)
    assert mixture.means[0] <= mixture.means[1]
    assert (mixture.stds > 0).all()
    gate = loss_gate(mixture)
    assert mixture.means[0] <= gate <= mixture.means[1]


# ------------------------------- posterior -------------------------------


@settings(max_examples=40, deadline=None)
@given(mixtures)
def test_posterior_is_the_one_of_the_densities(mixture):
    low, high = mixture.means.tolist()
    x = torch.linspace(low - 3, high + 3, 101, dtype=torch.float64)
    clean, noisy = densities(mixture, x.numpy())
    total = clean + noisy
    usable = total > 1e-200
    np.testing.assert_allclose(
        clean_probability(x, mixture).numpy()[usable],
        clean[usable] / total[usable],
        atol=1e-9,
    )


@settings(max_examples=40, deadline=None)
@given(mixtures)
def test_monotone_never_rises_and_keeps_the_middle(mixture):
    low, high = mixture.means.tolist()
    x = torch.linspace(low - 9, high + 9, 301, dtype=torch.float64)
    x = torch.cat([x.new_tensor([-math.inf]), x, x.new_tensor([math.inf])])
    monotone = clean_probability(x, mixture, monotone=True)
    assert (monotone.diff() <= 1e-12).all()
    between = (x >= low) & (x <= high)
    torch.testing.assert_close(
        monotone[between], clean_probability(x, mixture)[between]
    )
    at_means = clean_probability(mixture.means, mixture)
    torch.testing.assert_close(monotone[[1, -1]], at_means)


@pytest.mark.parametrize(
    "stds, at_minus_inf", [((1, 2), 0.0), ((2, 1), 1.0), ((1, 1), 1.0)]
)
def test_a_loss_of_zero(stds, at_minus_inf):
    mixture = two_gaussians(0.5, (-3, 1), stds)
    x = torch.tensor([-math.inf])
    # the paper's posterior falls to the wider component
    assert clean_probability(x, mixture).item() == at_minus_inf
    assert clean_probability(x, mixture, monotone=True).item() == 1


def test_a_loss_not_recorded_counts_as_clean():
    x = torch.tensor([math.nan, 100.0])
    for monotone in (False, True):
        found = clean_probability(
            x, two_gaussians(0.5, (-3, 1), (1, 1)), monotone
        )
        assert found.tolist() == [1, pytest.approx(0, abs=1e-3)]


def test_posterior_keeps_type_and_shape():
    mixture = two_gaussians(0.5, (-3, 1), (1, 1))
    for dtype in (torch.float32, torch.float64):
        for candidate in (mixture, None):
            found = clean_probability(torch.zeros(3, dtype=dtype), candidate)
            assert found.dtype == dtype
            assert found.shape == (3,)
    assert clean_probability(torch.zeros(0), mixture).shape == (0,)


# --------------------------------- gate ----------------------------------


@settings(max_examples=60, deadline=None)
@given(mixtures)
def test_gate_is_where_the_densities_cross(mixture):
    low, high = mixture.means.tolist()
    difference = np.subtract(*np.log(densities(mixture, np.array([low, high]))))
    gate = loss_gate(mixture)
    if difference[0] <= 0:  # the noisy component is denser all the way
        assert gate == low
    elif difference[1] >= 0:
        assert gate == high
    else:
        expected = scipy.optimize.brentq(
            lambda x: np.subtract(*np.log(densities(mixture, x)))[()],
            low,
            high,
            xtol=1e-12,
        )
        assert gate == pytest.approx(expected, abs=1e-8)


def test_gate_of_equal_widths_by_hand():
    mixture = two_gaussians(0.5, (-2, 4), (1.5, 1.5))
    assert loss_gate(mixture) == pytest.approx(1)
    # ln(w0/w1) sigma^2 / (mu1 - mu0) to the right of the middle
    shifted = two_gaussians(0.8, (-2, 4), (1.5, 1.5))
    assert loss_gate(shifted) == pytest.approx(1 + math.log(4) * 2.25 / 6)


def test_gate_is_continuous_where_the_widths_become_equal():
    gates = [
        loss_gate(two_gaussians(0.7, (-2, 1), (1, 1 + change)))
        for change in (-1e-7, -1e-13, 0, 1e-13, 1e-7)
    ]
    assert np.ptp(gates) < 1e-5


@pytest.mark.parametrize("weight, expected", [(0.999, 1.0), (0.001, 0.0)])
def test_no_crossing_between_the_means_is_told(weight, expected, caplog):
    with caplog.at_level(logging.WARNING):
        gate = loss_gate(two_gaussians(weight, (0, 1), (1, 1)))
    assert gate == expected
    assert "loss gate is set to" in caplog.text


def test_gate_passes_what_is_more_likely_clean():
    x = sample(5000, 0.7, (-4, 1), (1.5, 0.8))
    mixture = fit_two_gaussians(x)
    clean = clean_probability(x, mixture, monotone=True) > 0.5
    assert torch.equal(clean, x < loss_gate(mixture))


@pytest.mark.parametrize("stds", [(1.0, 2.0), (2.0, 1.0), (0.5, 0.7)])
def test_the_posterior_rises_with_the_loss_there_and_only_there(stds):
    mixture = two_gaussians(0.4, (-2.0, 1.0), stds)
    low, high = mistaken_range(mixture)
    assert (low == -math.inf) == (stds[0] < stds[1])  # the noisy one is wider
    assert (high == math.inf) == (stds[0] > stds[1])
    end = high if low == -math.inf else low
    assert not -2.0 < end < 1.0
    x = torch.linspace(-12, 12, 2001, dtype=torch.float64)
    rising = clean_probability(x, mixture).diff()
    inside = (x[:-1] > low) & (x[1:] < high)
    outside = (x[1:] < low) | (x[:-1] > high)
    assert (rising[inside] >= 0).all() and (rising[inside] > 1e-9).any()
    assert (rising[outside] <= 0).all()


def test_equal_widths_make_no_mistake():
    assert mistaken_range(two_gaussians(0.5, (-1.0, 1.0), (1.0, 1.0))) is None
