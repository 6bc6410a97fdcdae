"""Audio-visual DLG-LC through an epoch, with scripted classifiers."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ssrl_brain.brains import dlg_lc
from ssrl_brain.brains.audio_visual import AudioVisualBrain
from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.data.batches import CropBatch
from ssrl_brain.losses.audio_visual import CASES, JointDLGLCLoss
from ssrl_brain.losses.margin import CrossEntropy
from ssrl_brain.noisy_labels.gate import DynamicGate
from ssrl_brain.noisy_labels.gmm import TwoGaussians
from ssrl_brain.noisy_labels.loss_axis import LogLoss

LABELS = torch.zeros(4, dtype=torch.int64)
# clean posteriors of the first cluster, by modality and utterance
CLEAN = torch.tensor([[0.9, 0.9, 0.2, 0.3], [0.9, 0.2, 0.3, 0.5]])


class Metrics:
    """Case metrics that know which labels are right."""

    def __call__(self, table, labels, predictions, cases, below):
        return {"shapes": [x.shape for x in (predictions, cases, below)]}

    def right(self, table, labels):
        return np.array([True, True, False, False])


class Scripted(torch.nn.Module):
    """Answers clean views as written and augmented ones by a parameter."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2, 4, 2))

    def forward(self, features, images):
        (kind, index), (kind_of_image, same) = features, images
        assert kind == kind_of_image and torch.equal(index, same)
        if kind == "clean":
            assert not torch.is_grad_enabled()
            return torch.stack([CLEAN, 1 - CLEAN], -1)[:, index].log()
        return self.logits[:, index]


@pytest.fixture
def brain(monkeypatch):
    """An AudioVisualBrain without files, optimizer, audio or images."""
    brain = object.__new__(AudioVisualBrain)
    brain.hparams = SimpleNamespace(
        dlg_lc_loss=JointDLGLCLoss(CrossEntropy()),
        gate_metrics=Metrics(),
        loss_axis=LogLoss(),
        gate=DynamicGate(),
    )
    brain.device, brain.checkpointer = "cpu", None
    brain.modules = SimpleNamespace(student=Scripted())
    brain.train_set = SimpleNamespace(utterances=None, labels=LABELS.numpy())
    monkeypatch.setattr(AudioVisualBrain, "features", lambda self, view: view)
    monkeypatch.setattr(
        AudioVisualBrain, "to_device", lambda self, x: x, raising=False
    )
    brain.make_state()
    return brain


def step(brain, index):
    """Loss of one batch."""
    index = torch.tensor(index)
    views = ("clean", index), ("augmented", index)
    batch = CropBatch(index, views, views)
    outputs = brain.compute_forward(batch, None)
    return brain.compute_objectives(outputs, batch, None)


def test_each_modality_has_a_gate_of_its_own(brain, monkeypatch):
    log_2 = math.log(2)
    # all passes: both networks learn every label
    assert step(brain, [2, 0]).item() == pytest.approx(2 * log_2)
    assert step(brain, [3, 1]).item() == pytest.approx(2 * log_2)
    losses = -CLEAN.log().T
    torch.testing.assert_close(brain.case_memory.loss, losses)
    assert (brain.case_memory.case == CASES.index("passed")).all()

    seen = []

    def fit(x):
        """Means so that the gates are at exp(-1) and exp(-0.5)."""
        seen.append(x)
        middle = -1.0 if len(seen) == 1 else -0.5
        return TwoGaussians(
            *torch.tensor([[0.5, 0.5], [middle - 1, middle + 1], [1, 1]])
        )

    monkeypatch.setattr(dlg_lc, "fit_two_gaussians", fit)
    record = brain.end_epoch(1)
    torch.testing.assert_close(torch.stack(seen, 1), losses.log())
    assert record["gate_audio"] is None and record["gate_visual"] is None
    assert record["next_gate_audio"] == pytest.approx(math.exp(-1.0))
    assert record["next_gate_visual"] == pytest.approx(math.exp(-0.5))
    assert record["shapes"] == [(4, 2)] * 3
    assert brain.hparams.gate.value == math.inf  # only a pattern
    for name in ("audio", "visual"):
        assert sum(record[f"loss_histogram_{name}"]["counts"]) == 4
        assert "loss_auc" not in record and f"loss_auc_{name}" in record

    # 0: both below. 1: below in audio alone, predictions differ, both sure.
    # 2: neither, both predict the second. 3: they differ, 0.5 is not sure.
    step(brain, [0, 1, 2, 3]).backward()
    cases = [[CASES[x] for x in row] for row in brain.case_memory.case]
    assert cases == [
        ["passed", "passed"],
        ["corrected", "corrected"],
        ["agreed", "agreed"],
        ["corrected", "dropped"],
    ]
    grad = brain.modules.student.logits.grad
    assert (grad[..., 1] < 0).tolist() == [
        [False, False, True, True],
        [False, True, True, False],
    ]
    assert grad[1, 3].tolist() == [0.0, 0.0]


def test_gradients_are_clipped_apart(brain):
    """A large gradient of one network does not shrink the other's step."""
    steps = []
    for large in (1.0, 1e6):
        audio, visual = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
        torch.nn.init.zeros_(audio.weight)
        student = torch.nn.ModuleDict({"audio": audio, "visual": visual})
        student.audio, student.visual = audio, visual
        brain.hparams.student = student
        brain.modules = SimpleNamespace(student=student)
        for parameter in audio.parameters():
            parameter.grad = torch.full_like(parameter, 0.1)
        for parameter in visual.parameters():
            parameter.grad = torch.full_like(parameter, large)
        brain.optimizer = torch.optim.SGD(student.parameters(), lr=1.0)
        brain.scaler = torch.amp.GradScaler(enabled=False)
        brain.max_grad_norm, brain.optimizer_step = 5.0, 0
        brain.device_type = "cpu"
        before = copy.deepcopy(visual.weight)
        SpeakerBrain.optimizers_step(brain)
        steps.append(audio.weight.item())
        assert (visual.weight - before).abs().item() < 5
    assert steps == pytest.approx([-0.1, -0.1])
