"""DLG-LC through two epochs, with a scripted classifier."""

import math
from types import SimpleNamespace

import pytest
import torch

from ssrl_brain.brains import dlg_lc
from ssrl_brain.data.batches import CropBatch
from ssrl_brain.losses.dlg_lc import DLGLCLoss
from ssrl_brain.losses.margin import CrossEntropy
from ssrl_brain.noisy_labels.gate import DynamicGate
from ssrl_brain.noisy_labels.gmm import TwoGaussians
from ssrl_brain.noisy_labels.loss_axis import LogLoss
from ssrl_brain.noisy_labels.memory import GateMemory

LABELS = torch.tensor([0, 0, 1, 1])
# clean posteriors of the first cluster, by utterance
CLEAN = torch.tensor([0.9, 0.2, 0.4, 0.5])


class Metrics:
    """Gate metrics that know which labels are right."""

    def __call__(self, table, *arrays):
        return {"sizes": [len(x) for x in arrays]}

    def right(self, table, labels):
        return labels == 0


class Scripted(torch.nn.Module):
    """Answers clean crops as written and augmented ones by a parameter."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(4, 2))

    def forward(self, views):
        kind, index = views[0]
        if kind == "clean":
            assert not torch.is_grad_enabled()
            probs = torch.stack([CLEAN, 1 - CLEAN], 1)[index]
            return None, probs.log()
        return None, self.logits[index]


def make_brain(monkeypatch):
    """A DLGLCBrain without files, optimizer or audio."""
    brain = object.__new__(dlg_lc.DLGLCBrain)
    brain.hparams = SimpleNamespace(
        dlg_lc_loss=DLGLCLoss(CrossEntropy()),
        gate_metrics=Metrics(),
        loss_axis=LogLoss(),
    )
    brain.device = "cpu"
    brain.modules = SimpleNamespace(student=Scripted())
    brain.train_set = SimpleNamespace(utterances=None, labels=LABELS.numpy())
    brain.labels = LABELS
    brain.gate, brain.gate_memory = DynamicGate(), GateMemory(4)
    monkeypatch.setattr(dlg_lc.DLGLCBrain, "features", lambda self, view: view)
    return brain


def step(brain, index):
    """Loss of one batch."""
    index = torch.tensor(index)
    batch = CropBatch(index, (("clean", index), ("augmented", index)))
    outputs = brain.compute_forward(batch, None)
    return brain.compute_objectives(outputs, batch, None)


def test_two_epochs_by_hand(monkeypatch):
    brain = make_brain(monkeypatch)
    log_2 = math.log(2)
    # everything passes: cross-entropy of even augmented crops
    assert step(brain, [0, 2]).item() == pytest.approx(log_2)
    assert step(brain, [3, 1]).item() == pytest.approx(log_2)
    losses = -torch.log(torch.tensor([0.9, 0.2, 0.6, 0.5]))
    torch.testing.assert_close(brain.gate_memory.loss, losses)
    assert brain.gate_memory.prediction.tolist()[:3] == [0, 1, 1]

    # equal weights and widths: the gate is half way on the logarithmic scale
    mixture = TwoGaussians(*torch.tensor([[0.5, 0.5], [-1.4, 0.0], [1, 1]]))
    seen = []
    monkeypatch.setattr(
        dlg_lc, "fit_two_gaussians", lambda x: seen.append(x) or mixture
    )
    record = brain.end_epoch(1)
    torch.testing.assert_close(seen[0], losses.log())
    assert record["gate"] is None and record["passed"] == 1.0
    assert record["next_gate"] == pytest.approx(math.exp(-0.7))  # 0.497
    assert record["next_gate_on_axis"] == pytest.approx(-0.7)
    assert record["loss_axis"] == "ln(loss)"
    assert record["sizes"] == [4, 4, 4, 4]
    assert sum(record["loss_histogram"]["counts"]) == 4

    # losses 0.11, 1.61, 0.51 and 0.69: only the first passes; 0.8 and 0.6 are
    # above one half and correct, the even posterior is dropped
    assert step(brain, [0, 1, 2, 3]).item() == pytest.approx(3 * log_2 / 4)
    assert brain.gate_memory.passed.tolist() == [True, False, False, False]
    assert brain.gate_memory.corrected.tolist() == [False, True, True, False]
    record = brain.end_epoch(2)
    assert record["gate"] == pytest.approx(math.exp(-0.7))
    assert (record["passed"], record["corrected"], record["dropped"]) == (
        0.25,
        0.5,
        0.25,
    )


def test_gradient_pulls_towards_the_models_own_label(monkeypatch):
    brain = make_brain(monkeypatch)
    brain.gate.value.fill_(0.3)
    step(brain, [0, 1, 2, 3]).backward()
    grad = brain.modules.student.logits.grad
    # 0 by its label, 1 and 2 by the posterior: 1 against its label 0
    assert (grad[:, 0] < 0).tolist() == [True, False, False, False]
    assert (grad[:, 1] < 0).tolist() == [False, True, True, False]
    assert grad[3].tolist() == [0.0, 0.0]
