"""Intervals of error rates by drawing speakers anew."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.evaluation.intervals import bootstrap, interval, weighted_rates
from ssrl_brain.evaluation.metrics import verification_metrics

# multiples of 1/4: many ties
TRIAL = st.tuples(
    st.integers(-4, 4).map(lambda n: n / 4), st.booleans(), st.integers(0, 3)
)


def rates_of(scores, positive, weights):
    """``weighted_rates`` of trials in any order."""
    order = np.argsort(scores)
    last = np.flatnonzero(np.append(np.diff(scores[order]) > 0, True))
    return weighted_rates(weights[order], positive[order], last)


@settings(max_examples=80, deadline=None)
@given(st.lists(TRIAL, min_size=1, max_size=15))
def test_a_weight_is_a_number_of_equal_trials(trials):
    scores, positive, weights = (np.array(x) for x in zip(*trials, strict=True))
    found = rates_of(scores, positive, weights.astype(np.float64))
    labels = np.repeat(positive, weights).astype(int)
    if len(set(labels)) < 2:
        assert found is None
    else:
        expected = verification_metrics(np.repeat(scores, weights), labels)
        assert np.abs(np.subtract(found, list(expected.values()))).max() < 1e-12


def test_speakers_are_drawn_with_all_their_trials(monkeypatch):
    """One draw, by hand: speaker 0 thrice, 1 once, 2 and 3 not at all."""

    class Draw:
        def multinomial(self, number, chances):
            assert (number, len(chances)) == (4, 4)
            return np.array([3, 1, 0, 0])

    monkeypatch.setattr(
        "ssrl_brain.evaluation.intervals.random_generator", lambda *key: Draw()
    )
    trials = [  # score, label, speakers, times
        (0.9, 1, 10, 10, 3),
        (0.3, 1, 20, 20, 1),
        (0.8, 1, 30, 30, 0),
        (0.5, 0, 10, 20, 3),
        (0.2, 0, 20, 10, 3),
        (0.7, 0, 10, 40, 0),
    ]
    scores, labels, enrol, test, times = zip(*trials, strict=True)
    found = bootstrap(scores, labels, enrol, test, num_bootstraps=1)
    expected = verification_metrics(
        np.repeat(scores, times), np.repeat(labels, times)
    )
    assert {key: float(x[0]) for key, x in found.items()} == expected


def utterances(generator, num_speakers, each):
    """(S, each, 8) unit vectors around speakers, some spread more widely."""
    centres = generator.standard_normal((num_speakers, 1, 8))
    spread = generator.gamma(4, 0.3, (num_speakers, 1, 1))
    noise = generator.standard_normal((num_speakers, each, 8))
    points = centres + spread * noise
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def random_trials(generator, points, number):
    """scores, labels, speakers of both sides; half of each kind."""
    speakers, each, _ = points.shape
    a = generator.integers(0, speakers, 2 * number)
    other = generator.integers(1, speakers, number)
    b = np.concatenate([a[:number], (a[number:] + other) % speakers])
    i = generator.integers(0, each, 2 * number)
    j = (i + generator.integers(1, each, 2 * number)) % each
    scores = (points[a, i] * points[b, j]).sum(1)
    return scores, np.repeat([1, 0], number), a, b


def test_intervals_hold_the_rate_of_all_speakers_95_times_in_100():
    generator = np.random.default_rng(0)
    everyone = utterances(generator, 5000, 4)
    scores, labels, _, _ = random_trials(generator, everyone, 100_000)
    truth = verification_metrics(scores, labels)["eer"]
    held = {"speakers": 0, "trials": 0}
    for seed in range(60):
        points = utterances(generator, 25, 8)
        scores, labels, a, b = random_trials(generator, points, 600)
        each = np.arange(len(scores))
        for name, sides in (("speakers", (a, b)), ("trials", (each, each))):
            drawn = bootstrap(scores, labels, *sides, 100, seed=seed)
            low, high = interval(drawn["eer"])
            held[name] += low <= truth <= high
    assert held["speakers"] >= 54  # of 60: 90 %
    assert held["trials"] < 45  # trials are not independent


def test_draws_belong_to_the_seed():
    rng = np.random.default_rng(0)
    trials = random_trials(rng, utterances(rng, 9, 3), 50)
    first, again = (bootstrap(*trials, 7, seed=4)["eer"] for _ in range(2))
    assert (first == again).all()
    assert (first != bootstrap(*trials, 7, seed=5)["eer"]).any()


def test_one_speaker_is_too_few():
    with pytest.raises(ValueError, match="1 test speakers are too few"):
        bootstrap([0.1, 0.2], [1, 1], [0, 0], [0, 0], 3)


def test_a_list_of_vox1_o_takes_seconds():
    rng = np.random.default_rng(0)
    trials = random_trials(rng, utterances(rng, 40, 100), 19_000)
    started = time.perf_counter()
    bootstrap(*trials, 100)
    assert time.perf_counter() - started < 2
