"""True speakers, for metrics only."""

import numpy as np
import pytest

from ssrl_brain.data.utterances import Utterances
from ssrl_brain.speakers import LabelMetrics, read_speakers


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
