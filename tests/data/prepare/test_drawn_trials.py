"""Drawn trials: half of them positive, none twice, across sessions."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.prepare.drawn_trials import draw_trials


def session_of(path):
    return path.rsplit("/", 1)[0]


def speaker_of(path):
    return path.split("/")[0]


@settings(max_examples=30, deadline=None)
@given(
    sexes=st.lists(st.sampled_from("fm"), min_size=2, max_size=5),
    sessions=st.integers(2, 3),
    utterances=st.integers(1, 3),
    num_trials=st.integers(2, 40),
    seed=st.integers(0, 9),
)
def test_trial_rules(sexes, sessions, utterances, num_trials, seed):
    sex = {f"id{number}": sex for number, sex in enumerate(sexes)}
    files = [
        f"{speaker}/{session}/{utterance}"
        for speaker in sex
        for session in range(sessions)
        for utterance in range(utterances)
    ]
    rng = np.random.default_rng(seed)
    lines = draw_trials(rng, files, sex, num_trials)
    trials = [line.split(" ") for line in lines]
    positives = [trial for trial in trials if trial[0] == "1"]
    negatives = [trial for trial in trials if trial[0] == "0"]
    assert 0 < len(positives) == len(negatives) <= num_trials // 2
    assert len({frozenset(trial[1:]) for trial in trials}) == len(trials)
    for _, enrol, test in positives:
        assert speaker_of(enrol) == speaker_of(test)
        assert session_of(enrol) != session_of(test)
    pairs = [(speaker_of(e), speaker_of(t)) for _, e, t in negatives]
    assert all(one != two for one, two in pairs)
    same = sum(sex[one] == sex[two] for one, two in pairs)
    available = (
        sum(sex[one] == sex[two] for one, two in itertools.combinations(sex, 2))
        * (sessions * utterances) ** 2
    )
    assert same >= min((len(negatives) + 1) // 2, available)
