"""Figures of training health, by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.training.health import (
    ONE_PROTOTYPE,
    UNIFORM,
    TrainingHealth,
    batch_statistics,
    collapse_warning,
    health_report,
    spread,
)

LN2 = math.log(2)


def test_figures_by_hand():
    """Two utterances, one view, four prototypes.

    Entropies are 0 and ln 2; the mean distribution is (3/4, 1/4, 0, 0). The
    cross-entropies 1 and 3 have the mean 2. Embeddings (1, 0) and (0, 1) have
    standard deviation sqrt(1/2) in both of two dimensions.
    """
    targets = torch.tensor([[[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]]])
    embeddings = torch.tensor([[[4.0, 0.0], [0.0, 0.5]]])
    health = TrainingHealth(4)
    health.add(batch_statistics(targets, torch.tensor([1.0, 3.0]), embeddings))
    report = health.close_epoch()
    mean_entropy = 2 * LN2 - 0.75 * math.log(3)
    expected = {
        "teacher_entropy": LN2 / 2,
        "mean_entropy": mean_entropy,
        "information": mean_entropy - LN2 / 2,
        "mean_entropy_share": mean_entropy / (2 * LN2),
        "teacher_student_kl": 2 - LN2 / 2,
        "prototypes_used": 0.25,
        "embedding_spread": 1.0,
    }
    assert report.keys() == expected.keys()
    for key, value in expected.items():
        assert report[key] == pytest.approx(value, abs=1e-6), key


def random_batch(generator, num):
    logits = torch.randn(2, num, 6, generator=generator)
    return (
        logits.softmax(-1),
        torch.rand(num, generator=generator),
        torch.randn(2, num, 3, generator=generator),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_an_epoch_is_the_mean_over_samples(seed):
    """Batches of different size count by their size; views as samples."""
    generator = torch.Generator().manual_seed(seed)
    batches = [random_batch(generator, num) for num in (2, 5)]
    health = TrainingHealth(6)
    for batch in batches:
        health.add(batch_statistics(*batch))
    report = health.close_epoch()
    targets = torch.cat([t.flatten(0, 1) for t, _, _ in batches])
    entropy = -(targets * targets.log()).sum(-1).mean()
    mean = targets.mean(0)
    cross_entropy = torch.cat([c for _, c, _ in batches]).mean()
    approx = {"rel": 1e-4, "abs": 1e-5}
    assert report["teacher_entropy"] == pytest.approx(entropy.item(), **approx)
    assert report["mean_entropy"] == pytest.approx(
        -(mean * mean.log()).sum().item(), **approx
    )
    assert report["teacher_student_kl"] == pytest.approx(
        (cross_entropy - entropy).item(), **approx
    )
    assert report["prototypes_used"] == len(targets.argmax(-1).unique()) / 6


def test_an_epoch_starts_from_nothing_and_its_sum_is_saved():
    generator = torch.Generator().manual_seed(0)
    first, second = (random_batch(generator, 3) for _ in range(2))
    health, resumed = TrainingHealth(6), TrainingHealth(6)
    health.add(batch_statistics(*first))
    resumed.load_state_dict(health.state_dict())
    for one in (health, resumed):
        one.add(batch_statistics(*second))
    assert health.close_epoch() == resumed.close_epoch()
    health.add(batch_statistics(*first))
    assert health.close_epoch() == health_report(batch_statistics(*first))


def test_spread_of_isotropic_and_of_equal_directions():
    generator = torch.Generator().manual_seed(0)
    isotropic = torch.randn(4000, 16, generator=generator)
    assert spread(isotropic).item() == pytest.approx(1, abs=0.01)
    assert spread(isotropic[:1].expand(9, -1)).item() < 1e-3
    torch.testing.assert_close(spread(isotropic * 7), spread(isotropic))


def report_of(targets, embeddings):
    ones = torch.ones(targets.shape[1])
    return health_report(batch_statistics(targets, ones, embeddings))


def test_warnings_of_both_ways_to_collapse():
    """Embeddings are as varied as they are: BatchNorm hides a collapse."""
    generator = torch.Generator().manual_seed(0)
    varied = torch.randn(1, 64, 8, generator=generator)
    uniform = torch.full((1, 64, 32), 1 / 32)
    one = torch.zeros(1, 64, 32)
    one[..., 3] = 1.0
    healthy = torch.eye(32)[torch.arange(64) % 32][None]
    assert collapse_warning(report_of(uniform, varied), 32) == UNIFORM
    assert collapse_warning(report_of(one, varied), 32) == ONE_PROTOTYPE
    assert collapse_warning(report_of(healthy, varied), 32) is None


def test_a_nearly_uniform_beginning_is_no_collapse():
    """Cosines of many dimensions differ little before the first step."""
    generator = torch.Generator().manual_seed(0)
    logits = 0.5 * torch.randn(1, 64, 4096, generator=generator)
    varied = torch.randn(1, 64, 8, generator=generator)
    report = report_of(logits.softmax(-1), varied)
    assert report["teacher_entropy"] > 0.98 * math.log(4096)
    assert report["information"] > 0.05
    assert collapse_warning(report, 4096) is None


def test_warnings_are_one_line_and_name_keys():
    for text in (UNIFORM, ONE_PROTOTYPE):
        assert "\n" not in text and "teacher_temp" in text and " lr" in text


def test_half_precision_is_summed_in_full():
    batch = [x.bfloat16() for x in random_batch(torch.Generator(), 4)]
    full = batch_statistics(*(x.float() for x in batch))
    torch.testing.assert_close(batch_statistics(*batch), full)
