"""Label queues and loss memory."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.noisy_labels.memory import (
    GateMemory,
    LabelQueue,
    LossMemory,
    queue_mode,
)


def mode_by_counting(queue):
    """The most recent of the labels that occur most often."""
    votes = Counter(label for label in queue if label >= 0)
    for label in reversed(queue):
        if label >= 0 and votes[label] == max(votes.values()):
            return label
    return -1


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 7).flatmap(
        lambda length: st.lists(
            st.tuples(
                st.integers(0, length),
                st.lists(st.integers(0, 3), min_size=length, max_size=length),
            ),
            min_size=1,
            max_size=5,
        )
    )
)
def test_mode_equals_a_count(rows):
    queues = [[-1] * empty + labels[empty:] for empty, labels in rows]
    expected = [mode_by_counting(queue) for queue in queues]
    for dtype in (torch.int32, torch.int64):
        found = queue_mode(torch.tensor(queues, dtype=dtype))
        assert found.dtype == dtype and found.tolist() == expected


def test_large_labels_do_not_disturb_the_vote():
    queue = torch.tensor([[2**30, 1, 2**30, 1, 0]], dtype=torch.int32)
    assert queue_mode(queue).tolist() == [1]


def test_labels_follow_the_vote():
    """Votes of utterance 0: 5; 5 6 -> 6 (newer); 5 6 5; 6 5 7 -> 7."""
    memory = LabelQueue(torch.tensor([9, 8]), length=3)
    history = []
    for label in (5, 6, 5, 7):
        memory.enqueue(torch.tensor([0]), torch.tensor([label]))
        history.append(memory.label.tolist())
    assert history == [[5, 8], [6, 8], [5, 8], [7, 8]]
    assert memory.queue.tolist() == [[6, 5, 7], [-1, -1, -1]]


def test_a_queue_of_one_keeps_the_last_prediction():
    memory = LabelQueue(torch.tensor([0, 0, 0]), length=1)
    memory.enqueue(torch.tensor([2, 0]), torch.tensor([7, 4]))
    memory.enqueue(torch.tensor([2]), torch.tensor([1]))
    assert memory.label.tolist() == [4, 0, 1]


def test_the_callers_labels_are_not_changed():
    labels = torch.tensor([0, 1], dtype=torch.int32)
    LabelQueue(labels, 2).enqueue(torch.tensor([0]), torch.tensor([5]))
    assert labels.tolist() == [0, 1]


def test_a_queue_without_length_is_refused():
    with pytest.raises(ValueError, match="label_queue_length must be at least"):
        LabelQueue(torch.tensor([0]), length=0)


def test_label_queue_round_trip():
    memory = LabelQueue(torch.tensor([0, 1]), length=2)
    memory.enqueue(torch.tensor([1]), torch.tensor([3]))
    other = LabelQueue(torch.tensor([0, 0]), length=2)
    other.load_state_dict(memory.state_dict())
    for copy in (memory, other):  # goes on alike
        copy.enqueue(torch.tensor([1, 0]), torch.tensor([4, 2]))
    assert other.label.tolist() == memory.label.tolist() == [2, 4]
    assert other.queue.tolist() == memory.queue.tolist()


def test_loss_memory_round_trip():
    memory = LossMemory(3)
    memory.write(torch.tensor([2, 0]), torch.tensor([1.0, math.e]))
    memory.clean_prob[1] = 0.25
    other = LossMemory(3)
    other.load_state_dict(memory.state_dict())
    torch.testing.assert_close(
        other.loss.log(), torch.tensor([1.0, torch.nan, 0.0]), equal_nan=True
    )
    assert other.clean_prob.tolist() == [1.0, 0.25, 1.0]


@pytest.mark.parametrize(
    "make", [LossMemory, lambda n: LabelQueue(torch.zeros(n), 2)]
)
def test_a_memory_of_another_corpus_is_refused(make):
    with pytest.raises(RuntimeError, match="size mismatch"):
        make(3).load_state_dict(make(4).state_dict())


def test_gate_memory_keeps_the_last_of_each_utterance():
    memory = GateMemory(4)
    assert memory.shares() == {"passed": 0, "corrected": 0, "dropped": 1}
    yes, no = torch.tensor([True, False]), torch.tensor([False, True])
    losses, labels = torch.tensor([0.5, 2.0]), torch.tensor([7, 8])
    memory.write(torch.tensor([3, 1]), losses, labels, yes, no)
    memory.write(torch.tensor([1, 0]), losses, labels, no, yes)
    assert memory.loss[[0, 1, 3]].tolist() == [2.0, 0.5, 0.5]
    assert memory.loss[2].isnan()
    assert memory.prediction.tolist() == [8, 7, -1, 7]
    assert memory.passed.tolist() == [True, False, False, True]
    assert memory.corrected.tolist() == [False, True, False, False]
    assert memory.shares()["dropped"] == pytest.approx(0.25)
    other = GateMemory(4)
    other.load_state_dict(memory.state_dict())
    torch.testing.assert_close(other.loss, memory.loss, equal_nan=True)
