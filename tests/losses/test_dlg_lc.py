"""Algorithm 1 of DLG-LC against one sample after the other."""

import math

import pytest
import torch
from speechbrain.nnet.losses import AdditiveAngularMargin

from ssrl_brain.losses.dlg_lc import DLGLCLoss
from ssrl_brain.losses.margin import CrossEntropy, MarginCrossEntropy

MARGIN, SCALE = 0.2, 8.0


def aam_by_the_book(cosine, label):
    """Equation 9 for one crop."""
    shifted = [SCALE * c for c in cosine]
    shifted[label] = SCALE * torch.cos(torch.acos(cosine[label]) + MARGIN)
    total = sum(torch.exp(x) for x in shifted)
    return -torch.log(torch.exp(shifted[label]) / total)


def softmax_by_the_book(values):
    exps = [torch.exp(v - max(values)) for v in values]
    return [e / sum(exps) for e in exps]


def algorithm_1(clean, aug, label, tau_1, tau_2=0.5, epsilon_c=0.1):
    """Lines 2 to 16 for one utterance: (loss, l_clean, which branch)."""
    l_clean, l_aug = aam_by_the_book(clean, label), aam_by_the_book(aug, label)
    if l_clean < tau_1:
        return l_aug, l_clean, "reliable"
    p_clean = softmax_by_the_book([SCALE * c for c in clean])
    p_aug = softmax_by_the_book([SCALE * c for c in aug])
    if max(p_clean) > tau_2:
        target = softmax_by_the_book([SCALE * c / epsilon_c for c in clean])
        terms = [
            -t.item() * torch.log(p)  # no gradient through the target
            for t, p in zip(target, p_aug, strict=True)
        ]
        return sum(terms), l_clean, "corrected"
    return torch.zeros(()), l_clean, "dropped"


def make_loss(**options):
    margin_fn = AdditiveAngularMargin(margin=MARGIN, scale=SCALE)
    return DLGLCLoss(MarginCrossEntropy(margin_fn), **options)


def draw(seed, size=40, num_clusters=6):
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.rand(2, size, num_clusters, generator=generator) * 1.9 - 0.95
    labels = torch.randint(num_clusters, (size,), generator=generator)
    return (*(x.clone().requires_grad_() for x in pairs), labels)


@pytest.mark.parametrize("gate", [2.0, 5.0, math.inf, 0.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_algorithm_sample_by_sample(seed, gate):
    clean, aug, labels = draw(seed)
    gated = make_loss()(clean, aug, labels, gate)
    by_book = [
        algorithm_1(c, a, int(y), gate)
        for c, a, y in zip(clean, aug, labels, strict=True)
    ]
    expected = torch.stack([loss for loss, _, _ in by_book])
    torch.testing.assert_close(gated.loss, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        gated.clean_loss,
        torch.stack([l_clean for _, l_clean, _ in by_book]),
        rtol=1e-4,
        atol=1e-5,
    )
    branches = [branch for _, _, branch in by_book]
    assert gated.reliable.tolist() == [b == "reliable" for b in branches]
    assert gated.corrected.tolist() == [b == "corrected" for b in branches]
    if 0 < gate < math.inf:
        assert len(set(branches)) == 3
    weights = torch.linspace(0.5, 2, len(labels))
    grads = [
        torch.autograd.grad(
            (weights * loss).sum(), (clean, aug), allow_unused=True
        )
        for loss in (gated.loss, expected)
    ]
    torch.testing.assert_close(grads[0][1], grads[1][1], rtol=1e-3, atol=1e-5)
    # both losses leave the clean crop alone
    assert grads[0][0] is None and not gated.clean_loss.requires_grad
    assert not grads[0][1][[b == "dropped" for b in branches]].any()


def test_without_correction_the_others_are_dropped():
    clean, aug, labels = draw(2)
    with_it = make_loss()(clean, aug, labels, 2.0)
    without = make_loss(label_correction=False)(clean, aug, labels, 2.0)
    assert with_it.corrected.any() and not without.corrected.any()
    assert torch.equal(with_it.reliable, without.reliable)
    assert not without.loss[~without.reliable].any()
    torch.testing.assert_close(
        without.loss[without.reliable], with_it.loss[with_it.reliable]
    )


def test_three_fates_by_hand():
    """Two classes, no margin. Clean posteriors 0.8 and 0.2: the loss of label
    0 is log(5/4), of label 1 log(5). Sharpened, 0.8 becomes
    4^10 / (4^10 + 1), which is 1 to six digits, and the even augmented crop
    has log 2."""
    clean = torch.tensor([[math.log(4), 0.0]] * 2 + [[0.0, 0.0]])
    labels = torch.tensor([0, 1, 1])
    gated = DLGLCLoss(CrossEntropy())(clean, torch.zeros(3, 2), labels, 0.5)
    expected = torch.tensor([math.log(5 / 4), math.log(5), math.log(2)])
    torch.testing.assert_close(gated.clean_loss, expected)
    expected = torch.tensor([math.log(2), math.log(2), 0.0])
    torch.testing.assert_close(gated.loss, expected)
    assert gated.reliable.tolist() == [True, False, False]
    # an even posterior is not above the threshold of one half
    assert gated.corrected.tolist() == [False, True, False]


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_extreme_cosines_stay_finite(value):
    clean = torch.full((2, 3), value)
    aug = torch.full((2, 3), -value, requires_grad=True)
    loss = make_loss()(clean, aug, torch.tensor([0, 1]), 1.0).loss
    loss.sum().backward()
    assert loss.isfinite().all() and aug.grad.isfinite().all()
