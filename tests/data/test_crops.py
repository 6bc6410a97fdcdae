"""Where crops lie: side by side, spread evenly, or anywhere."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssrl_brain.data.crops import crop_starts

seeds = st.integers(0, 10**6).map(np.random.default_rng)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 50), st.integers(0, 99), seeds)
def test_crops_that_fit_never_overlap(num, length, spare, generator):
    total = num * length + spare
    starts = np.sort(crop_starts(total, [length] * num, generator))
    assert len(starts) == num
    assert starts[0] >= 0 and starts[-1] + length <= total
    assert (np.diff(starts) >= length).all()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([np.int32, np.int64]),
    st.integers(1, 20),
    st.integers(1, 3 * 3600 * 192000),
    st.integers(1, 3 * 3600 * 192000),
    seeds,
)
@example(np.int32, 3, 2_000_000_000, 1_900_000_000, np.random.default_rng(0))
def test_crops_of_hours_lie_inside(kind, num, total, length, generator):
    starts = crop_starts(kind(total), [kind(length)] * num, generator)
    assert starts.dtype == np.int64 and starts.min() >= 0
    assert (starts + np.int64(length)).max() <= total or length > total
    assert (starts < total).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(2, 50), st.data(), seeds)
def test_crops_that_do_not_fit_are_spaced_evenly(num, length, data, generator):
    total = data.draw(st.integers(length, num * length - 1))
    starts = np.sort(crop_starts(total, [length] * num, generator))
    assert starts[0] == 0 and starts[-1] == total - length
    assert np.ptp(np.diff(starts)) <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 50), st.integers(1, 99), seeds)
def test_independent_crops_lie_inside(num, length, total, generator):
    starts = crop_starts(total, [length] * num, generator, spread=False)
    assert len(starts) == num and starts.min() >= 0
    assert starts.max() <= (total - 1 if total < length else total - length)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=7), st.data(), seeds)
def test_crops_of_all_lengths_avoid_each_other(lengths, data, generator):
    total = data.draw(st.integers(max(lengths), 2 * sum(lengths)))
    starts = crop_starts(total, lengths, generator)
    ends = starts + lengths
    assert starts.min() >= 0 and ends.max() <= total
    order = np.argsort(starts, kind="stable")
    if sum(lengths) <= total:
        assert (ends[order][:-1] <= starts[order][1:]).all()
    else:  # from the first sample to the last
        assert starts.min() == 0 and ends.max() == total


def test_only_crops_that_are_too_long_are_repeated():
    starts = [
        crop_starts(10, [30, 6, 4], np.random.default_rng(seed))
        for seed in range(40)
    ]
    assert {tuple(s[1:].tolist()) for s in starts} == {(0, 6), (4, 0)}
    assert len({int(s[0]) for s in starts}) > 5


def test_spare_samples_go_everywhere():
    """Before, between and after two crops of 1 in 3 samples: 6 orders."""
    generator = np.random.default_rng(0)
    found = {
        tuple(crop_starts(3, [1, 1], generator).tolist()) for _ in range(200)
    }
    assert found == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)}


def test_a_short_utterance_may_begin_anywhere():
    generator = np.random.default_rng(0)
    found = {int(x) for x in crop_starts(3, [8] * 100, generator)}
    assert found == {0, 1, 2}
