"""Shares and precision of each case."""

import numpy as np
import pytest

from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.case_metrics import CaseMetrics
from ssrl_brain.evaluation.speakers import GateMetrics
from ssrl_brain.losses.audio_visual import (
    AGREED,
    CORRECTED,
    DROPPED,
    PASSED,
)

IDS = "abcdef"
TABLE = Utterances(IDS, IDS, [1] * 6, [1] * 6, [0] * 6)
# Speaker x has cluster 0, speaker y cluster 1; f has the wrong one.
LABELS = np.array([0, 0, 0, 1, 1, 0])
SPEAKERS = "xxxyyy"
PREDICTIONS = np.array([[0, 0], [0, 0], [0, 1], [0, 0], [1, 0], [1, 1]])
CASES = np.array(
    [
        [PASSED, PASSED],
        [PASSED, PASSED],
        [CORRECTED, DROPPED],
        [AGREED, AGREED],  # right before, wrong after
        [CORRECTED, CORRECTED],  # audio stays right, visual turns wrong
        [AGREED, AGREED],  # wrong before, right after
    ]
)
BELOW = np.array([[1, 1], [1, 1], [1, 0], [0, 0], [0, 1], [0, 1]], bool)


@pytest.fixture
def metrics(tmp_path):
    rows = [f"{i},{s}" for i, s in zip(IDS, SPEAKERS, strict=True)]
    (tmp_path / "speakers.csv").write_text("\n".join(["ID,speaker", *rows]))
    return CaseMetrics(tmp_path)


def test_by_hand(metrics):
    found = metrics(TABLE, LABELS, PREDICTIONS, CASES, BELOW)
    assert found == pytest.approx(
        {
            "passed": 2 / 6,
            "agreed": 2 / 6,
            "corrected_audio": 2 / 6,
            "corrected_visual": 1 / 6,
            "dropped_audio": 0.0,
            "dropped_visual": 1 / 6,
            "below_gate_audio": 3 / 6,
            "below_gate_visual": 4 / 6,
            "right": 5 / 6,
            "right_passed": 1.0,
            "right_recall": 2 / 5,
            "right_before_agreed": 0.5,
            "right_agreed": 0.5,
            "right_before_corrected_audio": 1.0,
            "right_corrected_audio": 1.0,
            "right_before_corrected_visual": 1.0,
            "right_corrected_visual": 0.0,
            "right_dropped_audio": None,
            "right_dropped_visual": 1.0,
            "right_below_gate_audio": 1.0,
            "right_below_gate_visual": 3 / 4,
        }
    )


def test_without_speakers_the_shares_remain(tmp_path):
    metrics = CaseMetrics(tmp_path)
    found = metrics(TABLE, LABELS, PREDICTIONS, CASES, BELOW)
    assert found["agreed"] == pytest.approx(2 / 6)
    assert not any(key.startswith("right") for key in found)
    assert metrics.right(TABLE, LABELS) is None


def test_right_is_what_the_gate_of_speech_alone_calls_right(metrics):
    alone = GateMetrics(metrics.known.path.parent)
    passed, corrected = CASES[:, 0] == PASSED, CASES[:, 0] == CORRECTED
    found = alone(TABLE, LABELS, PREDICTIONS[:, 0], passed, corrected)
    ours = metrics(TABLE, LABELS, PREDICTIONS, CASES, BELOW)
    for mine, theirs in [
        ("right", "right"),
        ("right_passed", "right_passed"),
        ("right_recall", "right_recall"),
        ("right_corrected_audio", "right_corrected"),
        ("right_before_corrected_audio", "right_before_correction"),
    ]:
        assert ours[mine] == found[theirs]
