"""True speakers, for metrics only."""

import numpy as np
import pytest

from ssrl_brain.data.utterances import Utterances
from ssrl_brain.speakers import GateMetrics, LabelMetrics, read_speakers


def table_of(*ids):
    ones = np.ones(len(ids))
    return Utterances(ids, ids, ones, ones, ones)


@pytest.fixture
def prepared(tmp_path):
    (tmp_path / "speakers.csv").write_text(
        'ID,speaker\nc,Zoë\na,anna\nb,"van x, y"\nd,anna\n', encoding="utf-8"
    )
    return tmp_path


def test_numbers_follow_the_ids_asked_for(prepared):
    found = read_speakers(prepared / "speakers.csv", ["d", "c", "a", "b"])
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 3 and found.shape == (4,)


def test_unknown_speakers(prepared, tmp_path):
    assert read_speakers(tmp_path / "none.csv", ["a"]) is None
    with pytest.raises(ValueError, match="name the speaker of 'x': prepare"):
        read_speakers(prepared / "speakers.csv", ["a", "x"])


def test_metrics_of_a_perfect_and_of_a_poor_labelling(prepared):
    metrics = LabelMetrics(prepared)
    table = table_of("a", "b", "c", "d")
    perfect = metrics(table, [7, 2, 5, 7])
    poor = metrics(table, [0, 0, 0, 1])
    assert perfect["nmi"] == pytest.approx(1)
    assert poor["nmi"] < 0.6


def test_another_table_is_read_anew(prepared):
    metrics = LabelMetrics(prepared)
    assert metrics(table_of("a", "d"), [1, 1])["nmi"] == pytest.approx(1)
    assert metrics(table_of("a", "b"), [1, 2])["nmi"] == pytest.approx(1)


def test_nothing_is_reported_without_speakers(tmp_path):
    assert LabelMetrics(tmp_path)(table_of("a"), [0]) == {}


def test_shares_of_right_labels_by_hand(prepared):
    """Cluster 0 stands for anna (a, d), so c (Zoë) is wrong in it; cluster 1
    holds b alone. Predictions: a loses its right label, c leaves for the
    cluster of b, d for one that nobody is in."""
    table = table_of("a", "b", "c", "d")
    labels, predictions = np.array([0, 1, 0, 0]), np.array([1, 1, 1, 5])
    metrics = GateMetrics(prepared)
    none = np.zeros(4, bool)
    passed, corrected = none.copy(), none.copy()
    passed[[1, 2]], corrected[3] = True, True
    assert metrics(table, labels, predictions, passed, corrected) == {
        "right": 0.75,
        "right_passed": 0.5,
        "right_dropped": 1.0,
        "right_before_correction": 1.0,
        "right_corrected": 0.0,
        "right_recall": pytest.approx(1 / 3),
    }
    closed = metrics(table, labels, predictions, none, none)
    assert closed["right_passed"] is None and closed["right_recall"] == 0


def test_gates_are_not_judged_without_speakers(tmp_path):
    assert GateMetrics(tmp_path)(table_of("a"), [0], [0], [1], [0]) == {}
