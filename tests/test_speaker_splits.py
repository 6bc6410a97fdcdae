"""Scripts that make splits, look at embeddings and compare encoders."""

import json
import sys

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(ROOT / "benchmarks"))

import held_out_trials  # noqa: E402
import paired_intervals  # noqa: E402
import session_probe  # noqa: E402

UTTERANCES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=2, max_size=25
)


@given(UTTERANCES, st.integers(1, 5), st.integers(0, 3))
def test_trials_are_of_the_speakers_held_out(utterances, number, seed):
    speakers, sessions = np.array(utterances).T
    sessions = sessions + 10 * speakers
    ids = [str(row) for row in range(len(speakers))]
    counts = np.bincount(speakers)
    draw = (ids, speakers, sessions, number, 30, seed)
    if number > (counts > 1).sum():
        with pytest.raises(ValueError, match="--num_speakers"):
            held_out_trials.draw_trials(*draw)
        return
    trials = held_out_trials.draw_trials(*draw)
    assert trials == held_out_trials.draw_trials(*draw)
    pairs = [frozenset(pair) for _, *pair in trials]
    assert len(set(pairs)) == len(pairs) and all(len(p) == 2 for p in pairs)
    named = {int(name) for pair in pairs for name in pair}
    assert len({speakers[row] for row in named}) == number
    for label, *pair in trials:
        first, second = (int(name) for name in pair)
        assert label == (speakers[first] == speakers[second])
        several = len(set(sessions[speakers == speakers[first]])) > 1
        if label and several:
            assert sessions[first] != sessions[second]
    assert sum(label for label, *_ in trials) <= 15


def test_embeddings_of_sessions_and_of_speakers_are_told_apart():
    speakers = np.repeat(np.arange(4), 10)
    sessions = np.repeat(np.arange(8), 5)
    voices, rooms = np.eye(4)[speakers], np.eye(8)[sessions]
    of_speakers = session_probe.probe(voices, speakers, sessions)
    assert of_speakers["speaker"] == of_speakers["same_session"] == 0.0
    assert of_speakers["session"] == 50.0  # all cosines are the same
    of_sessions = session_probe.probe(rooms, speakers, sessions)
    assert of_sessions["session"] == of_sessions["same_session"] == 0.0
    assert of_sessions["speaker"] == 50.0


def test_without_a_second_session_only_speakers_are_told():
    speakers = np.repeat(np.arange(4), 5)
    genders = np.array(["f", "m"])[speakers % 2]
    found = session_probe.probe(
        np.eye(4)[speakers], speakers, np.arange(20), genders
    )
    assert found["speaker"] == found["same_gender"] == 0.0
    assert found["session"] is found["same_session"] is None
    assert found["gender"] == 50.0


def test_only_speakers_with_several_sessions_are_probed():
    speakers, sessions = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 2, 2, 3])
    rows = session_probe.several_sessions(speakers, sessions)
    assert rows.tolist() == [0, 1]


def test_encoders_are_compared_on_the_same_draws(tmp_path, monkeypatch, capsys):
    """Hard speakers are so for both: what differs is all that is left."""
    generator = np.random.default_rng(0)
    pairs = [(a, b) for a in range(24) for b in range(a + 1, 24)]
    speakers = np.arange(24) // 3
    names = "".join(f"u{row},{speakers[row]}\n" for row in range(24))
    (tmp_path / "speakers.csv").write_text("ID,speaker\n" + names)
    noise = generator.normal(size=len(pairs))
    for folder, signal in {"bad": 0.5, "good": 3.0, "same": 0.5}.items():
        lines = [
            f"{signal * same + x} {int(same)} u{a} u{b}\n"
            for (a, b), x in zip(pairs, noise, strict=True)
            for same in [speakers[a] == speakers[b]]
        ]
        (tmp_path / folder / "scores").mkdir(parents=True)
        (tmp_path / folder / "scores" / "x.txt").write_text("".join(lines))
    folders = [str(tmp_path / name) for name in ("bad", "good", "same")]
    line = ["", f"--speakers_csv={tmp_path / 'speakers.csv'}", *folders]
    monkeypatch.setattr(sys, "argv", [*line, "--num_draws=50"])
    paired_intervals.main()
    good, same = map(json.loads, capsys.readouterr().out.splitlines())
    assert good["speakers"] == 8
    assert good["interval"][0] > 5 and good["better_by"] > 10
    assert same["interval"] == [0.0, 0.0]
