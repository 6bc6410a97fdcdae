"""DINO and its consistency term against their equations, as loops."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.losses.dino import DINOLoss, cosine_consistency


def cross_entropy(target_logits, logits, center, teacher_temp, student_temp):
    """-sum_k p_t[k] log p_s[k] of two vectors, term by term."""
    targets = [
        math.exp(float(x - c) / teacher_temp)
        for x, c in zip(target_logits, center, strict=True)
    ]
    exponentials = [math.exp(float(x) / student_temp) for x in logits]
    return -sum(
        t / sum(targets) * math.log(e / sum(exponentials))
        for t, e in zip(targets, exponentials, strict=True)
    )


def dino_by_the_book(student, teacher, center, teacher_temp=0.5):
    """DINO study, eq. 3: L teacher views, L + M student views."""
    num_teacher, num_student = len(teacher), len(student)
    losses = []
    for b in range(student.shape[1]):
        total = 0.0
        for i in range(num_teacher):
            for j in range(num_student):
                if j != i:
                    total += cross_entropy(
                        teacher[i, b], student[j, b], center, teacher_temp, 0.1
                    )
        losses.append(total / (num_teacher * (num_student - 1)))
    return torch.tensor(losses)


@pytest.mark.parametrize("num_global, num_local", [(2, 0), (1, 3), (2, 4)])
def test_equals_the_published_double_sum(num_global, num_local):
    torch.manual_seed(0)
    student = torch.randn(num_global + num_local, 3, 7)
    teacher = torch.randn(num_global, 3, 7)
    loss = DINOLoss(num_prototypes=7)
    loss.center.normal_()
    expected = dino_by_the_book(student, teacher, loss.center)
    torch.testing.assert_close(loss(student, teacher, 0.5), expected)


def test_without_shared_views_every_pair_counts():
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 2, 5), torch.randn(2, 2, 5)
    loss = DINOLoss(num_prototypes=5)
    expected = [
        sum(
            cross_entropy(t[b], s[b], torch.zeros(5), 0.5, 0.1)
            for t in teacher
            for s in student
        )
        / 6
        for b in range(2)
    ]
    found = loss(student, teacher, 0.5, num_shared=0)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_student_that_agrees_has_the_entropy_of_the_teacher():
    logits = torch.tensor([[[2.0, 0.0]]])  # p_t = 2/3, 1/3 for temp 2/ln 2
    temperature = 2 / math.log(2)
    loss = DINOLoss(2, student_temp=temperature)
    entropy = math.log(3) - 2 / 3 * math.log(2)
    found = loss(logits, logits, temperature, num_shared=0)
    assert found.item() == pytest.approx(entropy, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(-5, 5))
def test_adding_a_constant_to_the_logits_changes_nothing(seed, constant):
    generator = torch.Generator().manual_seed(seed)
    student = torch.randn(3, 2, 5, generator=generator)
    teacher = torch.randn(1, 2, 5, generator=generator)
    loss = DINOLoss(5)
    before = loss(student, teacher, 0.5)
    after = loss(student + constant, teacher - constant, 0.5)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-4)


def test_gradient_reaches_the_student_and_not_the_teacher():
    student = torch.randn(3, 2, 5, requires_grad=True)
    teacher = torch.randn(1, 2, 5, requires_grad=True)
    loss = DINOLoss(5)
    (
        loss(student, teacher, 0.04) + cosine_consistency(student, teacher)
    ).sum().backward()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_gradient_is_that_of_the_cross_entropy():
    """Parity after one step of SGD, not of the value alone."""
    torch.manual_seed(0)
    student = torch.randn(2, 3, 5, requires_grad=True)
    copy = student.detach().clone().requires_grad_()
    teacher = torch.randn(1, 3, 5)
    DINOLoss(5)(student, teacher, 0.5).mean().backward()
    F.cross_entropy(copy[1] / 0.1, F.softmax(teacher[0] / 0.5, -1)).backward()
    torch.testing.assert_close(student.grad, copy.grad)


def test_one_view_alone_is_not_compared_with_itself():
    """Changing a shared view changes only the pairs with other views."""
    torch.manual_seed(0)
    teacher, student = torch.randn(1, 2, 5), torch.randn(2, 2, 5)
    other = student.clone()
    other[0] += torch.randn(2, 5)
    loss = DINOLoss(5)
    assert torch.equal(loss(student, teacher, 0.5), loss(other, teacher, 0.5))


def test_forward_leaves_the_center_and_update_moves_it():
    loss = DINOLoss(3, center_momentum=0.75)
    loss(torch.randn(2, 2, 3), torch.randn(1, 2, 3), 0.04)
    assert loss.center.tolist() == [0.0, 0.0, 0.0]
    loss.update_center(torch.tensor([4.0, 8.0, -4.0]))
    assert loss.center.tolist() == [1.0, 2.0, -1.0]
    loss.update_center(torch.tensor([1.0, 2.0, -1.0]))
    assert loss.center.tolist() == [1.0, 2.0, -1.0]
    assert "center" in loss.state_dict()


def test_half_precision_logits_are_summed_in_full():
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 2, 64), torch.randn(1, 2, 64)
    half = DINOLoss(64)(student.bfloat16(), teacher.bfloat16(), 0.5)
    full = DINOLoss(64)(
        student.bfloat16().float(), teacher.bfloat16().float(), 0.5
    )
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full)


# ------------------------------ consistency --------------------------------


def consistency_by_the_book(student, teacher):
    """CA-DINO, eq. 5: sum over e of the teacher and e' of the student."""
    losses = []
    for b in range(student.shape[1]):
        total = 0.0
        for e in teacher[:, b].tolist():
            for other in student[:, b].tolist():
                dot = sum(x * y for x, y in zip(e, other, strict=True))
                norms = math.hypot(*e) * math.hypot(*other)
                total += 1 - dot / norms
        losses.append(total)
    return torch.tensor(losses)


def test_consistency_equals_the_published_double_sum():
    torch.manual_seed(0)
    student, teacher = torch.randn(6, 3, 4), torch.randn(2, 3, 4)
    expected = consistency_by_the_book(student, teacher)
    torch.testing.assert_close(cosine_consistency(student, teacher), expected)


def test_consistency_counts_angles_not_lengths():
    student = torch.tensor([[[3.0, 0.0]], [[0.0, 5.0]], [[-2.0, 0.0]]])
    teacher = torch.tensor([[[7.0, 0.0]]])
    assert cosine_consistency(student, teacher).tolist() == [0 + 1 + 2]


def test_products_are_as_exact_inside_of_autocast():
    """K = 5,000 numbers of half precision would not add up."""
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 3, 5000), torch.randn(2, 3, 5000)
    loss = DINOLoss(num_prototypes=5000)
    expected = loss(student, teacher, 0.04)
    consistency = cosine_consistency(student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(student, teacher, 0.04), expected)
        assert torch.equal(cosine_consistency(student, teacher), consistency)
