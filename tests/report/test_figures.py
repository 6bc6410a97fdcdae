"""Figures hold the numbers that they were given."""

import base64

import matplotlib
import numpy as np
import pytest
from report_folders import EVIL, history_of, mixture_record

from ssrl_brain.report import cluster_figures, figures, trial_figures
from ssrl_brain.report.panels import GROUPS, TRAINING
from ssrl_brain.report.shown import logged_once, other_panels, panels_of
from ssrl_brain.report.style import data_uri, shortened


def svg(figure):
    """Text of the picture."""
    head, _, data = data_uri(figure).partition(",")
    assert head == "data:image/svg+xml;base64"
    return base64.b64decode(data).decode("utf-8")


def lines(figure):
    """{name: (x, y)} of the lines with a name."""
    return {
        line.get_label(): tuple(np.asarray(v).tolist() for v in line.get_data())
        for line in figure.axes[0].get_lines()
    }


def test_curves_are_the_logged_values_in_the_unit_of_the_axis():
    history = [
        {"epoch": 1, "passed": 0.25, "corrected": None},
        {"epoch": 2},
        {"epoch": 3, "passed": 0.5, "corrected": 0.125, "dropped": 0.375},
    ]
    (panel,) = panels_of(history, GROUPS["Loss gate"])
    figure = figures.curves(history, panel)
    assert lines(figure) == {
        "passed": ([1, 3], [25, 50]),
        "corrected": ([3], [12.5]),
        "dropped": ([3], [37.5]),
    }
    assert figure.axes[0].get_ylabel() == "utterances, %"
    assert figure.axes[0].get_xlim()[0] < 1  # nothing at the very edge


def test_right_and_wrong_are_stacked_to_all():
    record = mixture_record()
    figure = figures.loss_histogram(
        {**record, "next_gate_on_axis": 0.5, "loss_axis": "ln(exp(loss) - 1)"}
    )
    assert figure.axes[0].get_xlabel() == "ln(exp(loss) - 1)"
    stairs = {p.get_label(): p for p in figure.axes[0].patches}
    right, wrong = stairs["right labels"], stairs["wrong labels"]
    top, edges, below = wrong.get_data()
    assert top.tolist() == record["loss_histogram"]["counts"]
    assert below.tolist() == right.get_data().values.tolist()
    assert edges[0] == record["loss_histogram"]["low"]
    drawn = lines(figure)
    assert drawn["gate"][0] == [0.5, 0.5]
    x, clean = drawn["clean component"]
    _, noisy = drawn["noisy component"]
    width = edges[1] - edges[0]
    area = np.trapezoid(np.add(clean, noisy), x) / width
    assert area == pytest.approx(400, rel=0.03)  # tails are cut at the ends


def test_histogram_without_a_mixture_and_mixture_without_a_histogram():
    record = mixture_record(known=False)
    counts = {"loss_histogram": record["loss_histogram"]}
    figure = figures.loss_histogram({**counts, "next_gate_on_axis": None})
    assert not lines(figure)
    figure = figures.loss_histogram({"mixture": record["mixture"]})
    x, clean = lines(figure)["clean component"]
    weight = record["mixture"][0][0]
    assert np.trapezoid(clean, x) == pytest.approx(weight, rel=1e-3)


@pytest.mark.parametrize(
    "stds, left", [([0.5, 2.0], True), ([2.0, 0.5], False), ([1.0, 1.0], None)]
)
def test_where_the_posterior_is_mistaken_is_shaded(stds, left):
    """At the smallest losses or at the largest; only where it is used."""
    mixture = [[0.5, 0.5], [-3.0, 0.0], stds]
    name = "larger loss, cleaner (eq. 18)"
    figure = figures.loss_histogram({"mixture": mixture})
    assert name not in [p.get_label() for p in figure.axes[0].patches]
    figure = figures.loss_histogram({"mixture": mixture, "clean_prob": 0.5})
    x, _ = lines(figure)["clean component"]
    for drawn in (figure, figures.clean_probabilities(mixture)):
        shaded = [p for p in drawn.axes[0].patches if p.get_label() == name]
        if left is None:
            assert not shaded
            continue
        (area,) = shaded
        start, end = area.get_x(), area.get_x() + area.get_width()
        assert (start == x[0]) if left else (end == x[-1])
        assert (end < -3.0) if left else (start > 0.0)


def test_clean_probability_falls_only_in_the_monotone_variant():
    mixture = [[0.5, 0.5], [-3.0, 0.0], [2.0, 0.5]]
    drawn = lines(figures.clean_probabilities(mixture))
    _, paper = drawn["posterior of the paper"]
    _, monotone = drawn["monotone"]
    assert (np.diff(monotone) <= 1e-12).all()
    assert paper[-1] > 0.99  # the wide component wins beyond the narrow one
    assert monotone[0] == pytest.approx(paper[len(paper) // 3], abs=0.01)


def test_time_axis_takes_a_fitting_unit():
    def one(seconds):
        line = ("a", np.array([0.0, seconds]), np.array([9.0, 8.0]))
        return figures.eer_over_time([line]).axes[0].get_xlabel()

    assert one(90) == "training time, seconds"
    assert one(600) == "training time, minutes"
    assert one(7200) == "training time, hours"


def test_det_axes_are_deviates():
    line = ("a", np.array([0.1, 0.05]), np.array([0.02, 0.1]))
    figure = trial_figures.det_curves([line])
    x, y = lines(figure)["a"]
    assert x == pytest.approx([-1.28155, -1.64485], abs=1e-5)
    assert y == pytest.approx([-2.05375, -1.28155], abs=1e-5)
    ticks = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert ticks[:4] == ["2", "5", "10", "20"]


def test_score_histogram_marks_the_equal_error():
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    scores = np.array([0.9, 0.8, 0.3, 0.7, 0.1, 0.2, 0.4, 0.0])
    drawn = lines(trial_figures.score_histogram(scores, labels))
    assert drawn["equal error"][0] == [0.3, 0.3]


@pytest.mark.parametrize("sizes", [[1], [1, 1, 5, 60], [1, 7, 500, 20000]])
def test_every_cluster_is_in_a_bin(sizes):
    figure = cluster_figures.cluster_sizes(np.array(sizes))
    (stairs,) = figure.axes[0].patches
    assert stairs.get_data().values.sum() == len(sizes)


@pytest.mark.parametrize("name", ["$x^2$", "$\\frac", EVIL, "_private"])
def test_names_are_shown_as_they_are(name):
    line = (name, np.array([1.0, 2.0]), np.array([9.0, 8.0]))
    picture = svg(figures.eer_over_time([line]))
    assert "<script" not in picture


def test_the_same_values_give_the_same_picture():
    history = history_of("dino", 3)
    pictures = [svg(figures.curves(history, TRAINING[0])) for _ in range(2)]
    assert pictures[0] == pictures[1]


def test_pictures_leave_the_users_style_alone():
    before = dict(matplotlib.rcParams)
    svg(cluster_figures.cluster_sizes(np.array([3, 4])))
    assert dict(matplotlib.rcParams) == before


def test_a_number_that_no_panel_knows_is_still_shown():
    record = {"new_thing": 0.5, "nmi": 0.9, "warning": "text"}
    history = [{"epoch": epoch, **record} for epoch in (1, 2)]
    assert [panel.title for panel in other_panels(history)] == ["new_thing"]
    assert logged_once(history) == {}
    history[1] = {"epoch": 2}
    assert other_panels(history) == []  # a chart of one point says nothing
    assert logged_once(history) == {"new_thing": 0.5, "nmi": 0.9}


def test_long_names_are_cut():
    assert shortened("a" * 22) == "a" * 22
    assert shortened("a" * 40) == "a" * 21 + "…"
