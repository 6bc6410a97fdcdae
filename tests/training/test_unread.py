"""Losses that are read several at once give what reading each would."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.training.unread import UnreadLosses


def one_at_a_time(losses):
    """The toolkit's ``update_average``, which looks at every loss."""
    average = 0.0
    for step, loss in enumerate(losses, start=1):
        if math.isfinite(loss):
            average -= average / step
            average += float(torch.tensor(loss)) / step
    return average


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(width=32), min_size=1, max_size=25),
    st.integers(1, 12),
)
def test_average_is_the_toolkits_to_the_last_bit(losses, at_once):
    unread, average, nonfinite = UnreadLosses(at_once), 0.0, 0
    for step, loss in enumerate(losses, start=1):
        unread.add(step, torch.tensor(loss))
        assert unread.are_due == (step % at_once == 0)
        if unread.are_due:
            average, found = unread.read(average)
            nonfinite += found
    average, found = unread.read(average)  # the end of the epoch
    expected = one_at_a_time(losses)
    assert average == expected
    assert nonfinite + found == sum(not math.isfinite(x) for x in losses)
    assert unread.read(average)[1] == 0  # forgotten


@pytest.mark.parametrize("at_once", [1, 4])
def test_an_epoch_without_steps_changes_nothing(at_once):
    assert UnreadLosses(at_once).read(3.5) == (3.5, 0)
