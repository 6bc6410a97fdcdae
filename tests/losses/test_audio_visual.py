"""The joint gate of two modalities, against one utterance after the other."""

import itertools
import math

import pytest
import torch
from speechbrain.nnet.losses import AdditiveAngularMargin

from ssrl_brain.losses.audio_visual import (
    CASES,
    JointDLGLCLoss,
    joint_cases,
)
from ssrl_brain.losses.margin import CrossEntropy, MarginCrossEntropy

MARGIN, SCALE = 0.2, 8.0
# gates, agreement, confidence of a modality, and its case
TRUTH = [
    ("both below", True, True, "passed"),
    ("both below", True, False, "passed"),
    ("both below", False, True, "passed"),
    ("both below", False, False, "passed"),
    ("not both", True, True, "agreed"),
    ("not both", True, False, "agreed"),
    ("not both", False, True, "corrected"),
    ("not both", False, False, "dropped"),
]
BELOW = {
    "both below": [(True, True)],
    "not both": [(True, False), (False, True), (False, False)],
}


def case_by_the_book(below_a, below_v, agree, confident):
    """Section IV-C1 for one utterance and one modality."""
    if below_a and below_v:
        return "passed"
    if agree:
        return "agreed"
    if confident:
        return "corrected"
    return "dropped"


@pytest.mark.parametrize("gates, agree, confident, expected", TRUTH)
def test_truth_table(gates, agree, confident, expected):
    for below, other in itertools.product(BELOW[gates], (True, False)):
        assert case_by_the_book(*below, agree, confident) == expected
        for mine in (0, 1):  # whatever the other modality's confidence
            pair = [[other], [other]]
            pair[mine] = [confident]
            case = joint_cases(
                torch.tensor(below)[:, None],
                torch.tensor([agree]),
                torch.tensor(pair),
            )
            assert CASES[case[mine, 0]] == expected


def test_all_combinations_against_a_scalar_loop():
    rows = list(itertools.product((True, False), repeat=5))
    below_a, below_v, agree, sure_a, sure_v = torch.tensor(rows).T
    found = joint_cases(
        torch.stack([below_a, below_v]), agree, torch.stack([sure_a, sure_v])
    )
    for number, (a, v, same, *sure) in enumerate(rows):
        for mine in (0, 1):
            expected = case_by_the_book(a, v, same, sure[mine])
            assert CASES[found[mine, number]] == expected


def aam_by_the_book(cosine, label):
    """Equation 9 for one crop or frame."""
    shifted = [SCALE * c for c in cosine]
    shifted[label] = SCALE * torch.cos(torch.acos(cosine[label]) + MARGIN)
    return -torch.log(softmax_by_the_book(shifted)[label])


def softmax_by_the_book(values):
    exps = [torch.exp(v - max(values)) for v in values]
    return [e / sum(exps) for e in exps]


def loss_by_the_book(clean, aug, label, gates, tau_2=0.5, epsilon_c=0.1):
    """Both modalities of one utterance: [(loss, clean loss, case)]."""
    clean_losses = [aam_by_the_book(x, label) for x in clean]
    posteriors = [softmax_by_the_book([SCALE * c for c in x]) for x in clean]
    predictions = [p.index(max(p)) for p in posteriors]
    below = [
        loss < gate for loss, gate in zip(clean_losses, gates, strict=True)
    ]
    agree = predictions[0] == predictions[1]
    found = []
    for mine in (0, 1):
        case = case_by_the_book(*below, agree, max(posteriors[mine]) > tau_2)
        if case == "passed":
            loss = aam_by_the_book(aug[mine], label)
        elif case == "agreed":
            loss = aam_by_the_book(aug[mine], predictions[0])
        elif case == "corrected":
            sharp = [SCALE * c / epsilon_c for c in clean[mine]]
            log_aug = [
                torch.log(p)
                for p in softmax_by_the_book([SCALE * c for c in aug[mine]])
            ]
            loss = -sum(
                t.item() * p
                for t, p in zip(
                    softmax_by_the_book(sharp), log_aug, strict=True
                )
            )
        else:
            loss = torch.zeros(())
        found.append((loss, clean_losses[mine], case))
    return found


def draw_pairs(seed, size=120, num_clusters=7):
    """Clean and augmented outputs (2, B, K), labels; modalities often agree."""
    generator = torch.Generator().manual_seed(seed)
    shape = 2, 2, size, num_clusters
    clean, aug = torch.rand(shape, generator=generator) * 1.9 - 0.95
    clean[1, ::2] = clean[0, ::2] * 0.9
    labels = torch.randint(num_clusters, (size,), generator=generator)
    return clean.requires_grad_(), aug.requires_grad_(), labels


def joint(**options):
    margin_fn = AdditiveAngularMargin(margin=MARGIN, scale=SCALE)
    return JointDLGLCLoss(MarginCrossEntropy(margin_fn), **options)


@pytest.mark.parametrize("gates", [(4.0, 2.0), (1.0, 6.0), (math.inf, 3.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_paper_utterance_by_utterance(seed, gates):
    clean, aug, labels = draw_pairs(seed)
    found = joint()(clean, aug, labels, torch.tensor(gates))
    by_book = [
        loss_by_the_book(c, a, int(y), gates)
        for c, a, y in zip(clean.unbind(1), aug.unbind(1), labels, strict=True)
    ]
    for mine in (0, 1):
        for field, position in ((found.loss, 0), (found.clean_loss, 1)):
            expected = torch.stack([row[mine][position] for row in by_book])
            torch.testing.assert_close(
                field[mine], expected, rtol=1e-4, atol=1e-5
            )
        cases = [row[mine][2] for row in by_book]
        assert [CASES[x] for x in found.case[mine]] == cases
        assert set(cases) == set(CASES)
    expected = sum(row[0][0] + row[1][0] for row in by_book)
    grads = [
        torch.autograd.grad(loss, (clean, aug), allow_unused=True)
        for loss in (found.loss.sum(), expected)
    ]
    torch.testing.assert_close(grads[0][1], grads[1][1], rtol=1e-3, atol=1e-5)
    # both leave the clean views alone
    assert grads[0][0] is None and not found.clean_loss.requires_grad


def test_each_gate_is_its_own():
    """One modality's gate stops what the other's lets through."""
    clean, aug, labels = draw_pairs(3)
    own = joint()(clean, aug, labels, torch.tensor([math.inf, math.inf]))
    assert (own.case == CASES.index("passed")).all()
    for shut in (0, 1):
        gates = torch.tensor([math.inf, math.inf])
        gates[shut] = own.clean_loss[shut].median()
        found = joint()(clean, aug, labels, gates)
        passed = found.case[0] == CASES.index("passed")
        assert torch.equal(passed, own.clean_loss[shut] < gates[shut])


def test_no_gradient_from_one_modality_to_the_other():
    clean, aug, labels = draw_pairs(4)
    found = joint()(clean, aug, labels, torch.tensor([3.0, 3.0]))
    (grad,) = torch.autograd.grad(found.loss[0].sum(), aug)
    assert grad[0].any() and not grad[1].any()


def test_by_hand():
    """Two classes, no margin, labels all 0. Posteriors of the first class are
    0.8 or 0.2, so losses are log(5/4) or log(5) and the gates of 0.5 decide
    by them; even augmented views lose log(2) whatever their label."""
    high, low = [math.log(4), 0.0], [0.0, math.log(4)]
    even = [0.0, 0.0]
    clean = torch.tensor([[high, high, low, low], [high, low, low, even]])
    loss = JointDLGLCLoss(CrossEntropy())
    aug = torch.zeros(2, 4, 2, requires_grad=True)
    found = loss(clean, aug, torch.zeros(4, dtype=int), torch.tensor([0.5] * 2))
    names = [[CASES[x] for x in row] for row in found.case]
    assert names == [
        ["passed", "corrected", "agreed", "corrected"],
        ["passed", "corrected", "agreed", "dropped"],  # 0.5 is not above 0.5
    ]
    expected = torch.full((2, 4), math.log(2))
    expected[1, 3] = 0
    torch.testing.assert_close(found.loss, expected)
    found.loss.sum().backward()
    towards_second = (aug.grad[..., 1] < 0).tolist()
    assert towards_second == [
        [False, False, True, True],
        [False, True, True, False],
    ]


def test_without_correction_the_others_are_dropped():
    clean, aug, labels = draw_pairs(5)
    gates = torch.tensor([3.0, 3.0])
    found = joint(label_correction=False)(clean, aug, labels, gates)
    passed = found.case == CASES.index("passed")
    assert passed.any() and not passed.all()
    assert (found.case[~passed] == CASES.index("dropped")).all()
    assert not found.loss[~passed].any()
