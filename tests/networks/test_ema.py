"""The teacher follows the student."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.networks.ema import copy_, ema_update_, frozen_copy


def network(seed=0):
    """A layer and BatchNorm, whose buffers are two floats and one integer."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1))
def test_every_value_moves_by_hand(momentum):
    student, teacher = network(0), frozen_copy(network(1))
    student(torch.randn(5, 3))  # moves the running statistics
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    ema_update_(teacher, student, momentum)
    for key, old in before.items():
        new, other = teacher.state_dict()[key], student.state_dict()[key]
        if key == "1.num_batches_tracked":
            assert new == other == 1 and new.dtype == torch.int64
        else:
            expected = momentum * old + (1 - momentum) * other
            torch.testing.assert_close(new, expected)


def test_a_teacher_with_statistics_of_its_own_keeps_them():
    student, teacher = network(0), frozen_copy(network(1))
    student(torch.randn(5, 3))
    ema_update_(teacher, student, 0.0, buffers=False)
    assert torch.equal(teacher[0].weight, student[0].weight)
    assert teacher[1].num_batches_tracked == 0
    assert teacher[1].running_mean.tolist() == [0, 0]


def test_the_student_is_not_touched_and_tensors_stay_in_place():
    student, teacher = network(0), frozen_copy(network(1))
    before = {k: v.clone() for k, v in student.state_dict().items()}
    place = teacher[0].weight.data_ptr()
    ema_update_(teacher, student, 0.5)
    assert teacher[0].weight.data_ptr() == place
    for key, value in student.state_dict().items():
        assert torch.equal(value, before[key])


def test_a_frozen_copy_is_equal_but_apart():
    student = network()
    teacher = frozen_copy(student)
    assert not teacher.training and student.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())
    with torch.no_grad():
        student[0].weight.add_(1)
    assert not torch.equal(teacher[0].weight, student[0].weight)


def test_copy_includes_buffers():
    student, teacher = network(0), frozen_copy(network(1))
    student(torch.randn(5, 3))
    copy_(teacher, student)
    for key, value in student.state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value)


def test_another_structure_is_refused():
    with pytest.raises(ValueError):
        ema_update_(frozen_copy(network()), torch.nn.Linear(3, 2), 0.5)
