"""What the figures show, against counting by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ssrl_brain.noisy_labels.gmm import fit_two_gaussians
from ssrl_brain.noisy_labels.histograms import histogram
from ssrl_brain.report import numbers
from ssrl_brain.report.runs import Run


def logged_mixture():
    generator = np.random.default_rng(0)
    losses = np.append(
        generator.normal(-4, 1, 700), generator.normal(1, 0.5, 300)
    )
    mixture = [x.tolist() for x in fit_two_gaussians(losses)]
    return losses, mixture, histogram(losses, 50)


def test_components_integrate_to_the_counts():
    losses, mixture, counts = logged_mixture()
    edges = numbers.bin_edges(counts)
    width = edges[1] - edges[0]
    x = np.linspace(-20, 20, 20001)
    both = numbers.component_curves(x, mixture, sum(counts["counts"]) * width)
    area = np.trapezoid(both, x) / width  # utterances of each component
    assert area.sum() == pytest.approx(len(losses), rel=1e-6)
    assert area == pytest.approx([700, 300], rel=0.02)


def test_components_lie_over_the_histogram():
    losses, mixture, counts = logged_mixture()
    edges = numbers.bin_edges(counts)
    assert edges[[0, -1]] == pytest.approx([losses.min(), losses.max()])
    middle = (edges[1:] + edges[:-1]) / 2
    width = edges[1] - edges[0]
    expected = numbers.component_curves(middle, mixture, len(losses) * width)
    difference = np.abs(expected.sum(0) - counts["counts"]).sum()
    assert difference < 0.2 * len(losses)


def test_range_of_a_mixture_holds_nearly_all_of_it():
    low, high = numbers.mixture_range([[0.5, 0.5], [-3, 2], [0.5, 2]])
    assert low == pytest.approx(-6) and high == pytest.approx(10)


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=30
    ).filter(lambda trials: {same for _, same in trials} == {True, False})
)
def test_det_points_are_error_rates_at_thresholds(trials):
    scores = np.array([score for score, _ in trials], dtype=float)
    labels = np.array([same for _, same in trials], dtype=int)
    by_hand = set()
    for threshold in np.append(np.unique(scores), np.inf):
        accepted = scores >= threshold
        by_hand.add(
            (accepted[labels == 0].mean(), 1 - accepted[labels == 1].mean())
        )
    inside = {
        (alarm, miss)
        for alarm, miss in by_hand
        if 0 < alarm < 1 and 0 < miss < 1
    }
    found = list(zip(*numbers.det_points(scores, labels), strict=True))
    assert np.array(sorted(found)) == pytest.approx(np.array(sorted(inside)))


def test_det_curve_of_many_trials_is_short_and_right():
    generator = np.random.default_rng(0)
    labels = np.arange(200_000) % 2
    scores = generator.standard_normal(200_000) + 2 * labels
    alarms, misses = numbers.det_points(scores, labels)
    assert len(alarms) < 2000
    # two Gaussians of one width make a straight line on these axes
    deviates = scipy.stats.norm.ppf([alarms, misses])
    likely = (np.abs(deviates) < 2).all(0)
    assert deviates[:, likely].sum(0) == pytest.approx(-2, abs=0.06)


def test_clusters_by_size_and_by_distance():
    labels = np.array([3, 3, 3, 0, 0, 5, -1])
    distances = np.array([0.3, 0.1, 0.2, 0.9, 0.7, 5.0, 9.0])
    found = numbers.clusters_of(labels, distances)
    assert found.numbers.tolist() == [0, 3, 5]
    assert found.sizes.tolist() == [2, 3, 1]
    assert found.distances == pytest.approx([0.8, 0.2, 5.0])
    assert [rows.tolist() for rows in found.members] == [[4, 3], [1, 2, 0], [5]]
    assert numbers.largest(found, 2) == [1, 0]
    assert numbers.most_doubtful(found, 5) == [0, 1]  # one alone is no doubt


def test_no_clusters():
    found = numbers.clusters_of(np.array([-1]), np.array([0.5]))
    assert len(found.sizes) == 0 and numbers.most_doubtful(found, 3) == []


def run(name, epochs=(), encoder=None, labels=None, verified=None):
    history = [
        {"epoch": i, "seconds": 10, **record}
        for i, record in enumerate(epochs, 1)
    ]
    settings = {
        "encoder_folder": f"out/{encoder}/export",
        "label_folder": f"out/{labels}/clusters/",
    }
    return Run(name, None, history, settings=settings, verified=verified or {})


def test_training_time_counts_what_a_stage_stands_on_once():
    runs = [
        run("dino", [{}] * 3),
        run("other", [{}] * 9),
        run("round", [{}] * 2, encoder="dino", labels="dino"),
        run("ssrl", [{}], encoder="dino", labels="round"),
    ]
    starts = numbers.start_times(runs)
    assert starts == {"dino": 0, "other": 0, "round": 30, "ssrl": 50}


def test_error_over_time():
    epochs = [{"eer_student": 9.0}, {}, {"eer_student": 8.0, "eer_teacher": 7}]
    seconds, eer = numbers.error_over_time(run("a", epochs), start=5)
    assert seconds.tolist() == [15, 35] and eer.tolist() == [9, 7]
    verified = {"list": {"eer": 6.0}}
    seconds, eer = numbers.error_over_time(
        run("a", epochs[:2], verified=verified)
    )
    assert seconds.tolist() == [10, 20] and eer.tolist() == [9, 6]
    seconds, eer = numbers.error_over_time(run("a", verified=verified))
    assert seconds.tolist() == [0] and eer.tolist() == [6]


def test_a_stage_goes_on_where_its_encoder_ends():
    runs = [
        run("dino", [{"eer_teacher": 9.0}]),
        run("ssrl", [{"eer_teacher": 7.0}], encoder="dino", labels="dino"),
        run("new", [{"eer_student": 8.0}], labels="ssrl"),
        run("silent", [{}]),
    ]
    lines = {
        name: (seconds.tolist(), eer.tolist())
        for name, seconds, eer in numbers.error_lines(runs)
    }
    assert lines == {
        "dino": ([10], [9]),
        "ssrl": ([10, 20], [9, 7]),
        "new": ([30], [8]),
    }
