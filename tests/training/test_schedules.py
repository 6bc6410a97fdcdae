"""Schedules at epochs where their value is known."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.training.schedules import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    Sequence,
)


@pytest.mark.parametrize(
    "schedule, values",
    [
        (Constant(3), {0: 3, 1e9: 3}),
        (Linear(0.04, 0.07, 30), {0: 0.04, 15: 0.055, 30: 0.07, 31: 0.07}),
        (Linear(1, 2, 0), {0: 2, 5: 2}),
        (Cosine(0.996, 1, 100), {0: 0.996, 50: 0.998, 100: 1, 120: 1}),
        (
            Cosine(4, 0, 6, warmup_epochs=2, warmup_start=2),
            {0: 2, 1: 3, 2: 4, 3: 2 + math.sqrt(2), 4: 2, 6: 0, 7: 0},
        ),
        (Cosine(4, 1, 2, warmup_epochs=2), {1: 2, 2: 1}),
        (Exponential(1, 1e-4, 4), {0: 1, 1: 0.1, 3: 1e-3, 4: 1e-4, 9: 1e-4}),
        (
            Sequence([Constant(1), Linear(5, 7, 2), Constant(9)], [3, 2]),
            {2.9: 1, 3: 5, 4: 6, 5: 9, 99: 9},
        ),
        (Sequence([Cosine(9, 8, 0), Constant(1)], [0]), {0: 1}),
    ],
)
def test_values(schedule, values):
    for epoch, value in values.items():
        assert schedule(epoch) == pytest.approx(value, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([Linear, Cosine, Exponential]),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0, 30),
    st.floats(0, 30),
)
def test_from_start_to_end_without_turning(kind, start, end, epoch, later):
    schedule = kind(start, end, epochs=20)
    first, second = schedule(min(epoch, later)), schedule(max(epoch, later))
    low, high = sorted([start, end])
    assert low - 1e-9 <= first <= high + 1e-9
    assert (second - first) * (end - start) >= -1e-9
