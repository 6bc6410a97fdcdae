"""Algorithm 1 of SSRL, stepped by hand with a scripted teacher."""

import json
import logging
import math
from types import SimpleNamespace

import pytest
import torch

from ssrl_brain.brains import ssrl
from ssrl_brain.clustering.online import ArgmaxAssignment, SinkhornAssignment
from ssrl_brain.data.batches import CropBatch
from ssrl_brain.losses.margin import CrossEntropy
from ssrl_brain.noisy_labels.loss_axis import LogLoss
from ssrl_brain.noisy_labels.memory import LabelQueue, LossMemory

# Teacher posteriors of three utterances over two clusters, in two epochs.
POSTERIORS = [
    {0: [0.9, 0.1], 1: [0.2, 0.8], 2: [0.6, 0.4]},
    {0: [0.3, 0.7], 1: [0.1, 0.9], 2: [0.4, 0.6]},
]


class TwoBatches:
    """Sampler of two utterances and then one."""

    def __len__(self):
        return 2

    def rest(self, batches):
        return [3, 1, 0][batches]


class NoSpeakers:
    """Label metrics of a corpus whose speakers are unknown."""

    def __call__(self, table, labels):
        return {}

    def right(self, table, labels):
        return None


class Scripted(torch.nn.Module):
    """Answers with the posteriors written for the epoch and utterance."""

    def forward(self, views):
        epoch, index = views[0]
        probs = torch.tensor([POSTERIORS[epoch][i] for i in index])
        return None, probs.log()


def make_brain(monkeypatch):
    """An SSRLBrain without files, optimizer or audio."""
    brain = object.__new__(ssrl.SSRLBrain)
    brain.assignment = ArgmaxAssignment()
    brain.hparams = SimpleNamespace(
        margin_loss=CrossEntropy(),
        loss_axis=LogLoss(),
        student="student",
        ema_momentum=lambda epoch: 0.5,
        fixed_label_epochs=0,
        use_clean_prob=True,
        monotone_clean_prob=False,
        label_metrics=NoSpeakers(),
    )
    brain.device = "cpu"
    brain.teacher = Scripted()
    brain.training_ctx = torch.no_grad()
    brain.label_queue = LabelQueue(torch.tensor([1, 1, 0]), length=2)
    brain.loss_memory = LossMemory(3)
    brain.train_set = SimpleNamespace(utterances=None)
    brain.train_sampler = TwoBatches()
    brain.moved = []
    monkeypatch.setattr(
        ssrl.ema,
        "ema_update_",
        lambda teacher, student, momentum: brain.moved.append(momentum),
    )
    monkeypatch.setattr(
        ssrl.SSRLBrain,
        "features",
        lambda self, view: (self.epoch - 1, view.tolist()),
    )
    return brain


def step(brain, index, student_logits):
    """One batch; returns the loss that the student would learn from."""
    batch = CropBatch(torch.tensor(index), (None, torch.tensor(index)))
    loss = brain.compute_objectives(student_logits, batch, None)
    brain.on_fit_batch_end(batch, student_logits, loss, should_step=True)
    return loss


def test_two_epochs_by_hand(monkeypatch):
    brain = make_brain(monkeypatch)
    even = torch.zeros(2, 2)  # cross-entropy log(2) for any label
    sure = torch.tensor([[5.0, 0.0]])

    brain.epoch, brain.step = 1, 1
    assert step(brain, [0, 1], even).item() == pytest.approx(math.log(2))
    assert brain.label_queue.queue.tolist() == [[-1, 0], [-1, 1], [-1, -1]]
    assert brain.label_queue.label.tolist() == [0, 1, 0]
    brain.step = 2
    # Utterance 2 still has its initial label 0 when the student learns.
    nll = -torch.log_softmax(sure, -1)[0]
    assert step(brain, [2], sure).item() == pytest.approx(nll[0].item())
    expected = torch.tensor([-math.log(0.9), -math.log(0.8), -math.log(0.6)])
    torch.testing.assert_close(brain.loss_memory.loss, expected)
    assert brain.moved == [0.5, 0.5]

    weights = torch.tensor([0.25, 0.5, 1.0])
    monkeypatch.setattr(ssrl, "fit_two_gaussians", lambda x: None)
    seen = {}
    monkeypatch.setattr(
        ssrl,
        "clean_probability",
        lambda x, mixture, monotone: seen.update(x=x) or weights,
    )
    record = brain.end_epoch(1)
    torch.testing.assert_close(seen["x"], expected.log())
    assert record["labels_changed"] == pytest.approx(1 / 3)  # utterance 0
    assert record["clusters"] == 2
    assert record["cluster_size_quantiles"] == [1, 1.25, 1.5, 1.75, 2]
    assert record["queue_agreement"] == 1  # one prediction each
    # The student's answers were 0 (of even logits), 0 and 0.
    assert record["teacher_student_agreement"] == pytest.approx(2 / 3)
    assert sum(record["loss_histogram"]["counts"]) == 3
    assert record["loss_axis"] == "ln(loss)"
    assert "loss_histogram_right" not in record

    brain.epoch, brain.step = 2, 1
    # Weights of the last epoch, labels from before this batch: 0 and 0.
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    loss = step(brain, [0, 2], logits)
    assert loss.item() == pytest.approx(
        (0.25 * nll[0].item() + 1.0 * nll[1].item()) / 2
    )
    # Both queues now vote one against one: the later label wins.
    assert brain.label_queue.queue.tolist() == [[0, 1], [-1, 1], [0, 1]]
    assert brain.label_queue.label.tolist() == [1, 1, 1]
    # The teacher's loss is that of the corrected label.
    torch.testing.assert_close(
        brain.loss_memory.loss,
        torch.tensor([-math.log(0.7), -math.log(0.8), -math.log(0.6)]),
    )
    torch.testing.assert_close(brain.loss_memory.clean_prob, weights)
    record = brain.end_epoch(2)
    assert record["labels_changed"] == pytest.approx(2 / 3)
    # Half of the queues of 0 and 2, all of that of 1; the student said 0 1.
    assert record["queue_agreement"] == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert record["teacher_student_agreement"] == pytest.approx(1 / 3)


def test_optimal_transport_writes_what_is_ready(monkeypatch):
    """Three utterances are needed; the first batch has two."""
    brain = make_brain(monkeypatch)
    brain.assignment = SinkhornAssignment(sharpness=5.0, tol=1e-3)
    brain.epoch, brain.step = 2, 1
    even = torch.zeros(2, 2)
    step(brain, [0, 1], even)
    assert brain.label_queue.label.tolist() == [1, 1, 0]
    assert brain.loss_memory.loss.isnan().all()
    assert brain.moved == [0.5]  # the average does not wait
    brain.step = 2
    loss = step(brain, [2], torch.tensor([[0.0, 5.0]]))
    # Learnt with the label from before: that of utterance 2 is still 0.
    assert loss.item() == pytest.approx(math.log(1 + math.exp(5)), rel=1e-5)
    # 0.3, 0.1 and 0.4 for cluster 0, where half of all has to go: 0.4 and,
    # as it is nearer to that than to 0.1, more than half of 0.3.
    assert brain.label_queue.queue[:, -1].tolist() == [0, 1, 0]
    assert brain.label_queue.label.tolist() == [0, 1, 0]
    torch.testing.assert_close(
        brain.loss_memory.loss,
        -torch.tensor([0.3, 0.9, 0.4]).log(),
        rtol=1e-3,
        atol=0,
    )


@pytest.mark.parametrize("losses", [[0.3] * 3, [0.0] * 3, [math.nan] * 3])
def test_losses_without_a_mixture_are_all_clean(losses, monkeypatch, caplog):
    brain = make_brain(monkeypatch)
    brain.epoch = 4
    brain.loss_memory.loss = torch.tensor(losses)
    brain.loss_memory.clean_prob.fill_(0.5)
    with caplog.at_level(logging.WARNING):
        record = brain.end_epoch(4)
    assert "of epoch 4: all labels count as clean" in caplog.text
    assert brain.loss_memory.clean_prob.tolist() == [1, 1, 1]
    assert record["clean_prob"] == 1 and "mixture" not in record
    json.dumps(record, allow_nan=False)


def test_fixed_labels_stay_until_their_epochs_are_over(monkeypatch):
    brain = make_brain(monkeypatch)
    brain.hparams.fixed_label_epochs = 1
    copied = []
    monkeypatch.setattr(ssrl.ema, "copy_", lambda *a: copied.append(a))
    brain.epoch, brain.step = 1, 1
    step(brain, [0, 1], torch.zeros(2, 2))
    assert brain.label_queue.label.tolist() == [1, 1, 0]
    assert brain.moved == []
    brain.end_epoch(1)
    assert len(copied) == 1  # the teacher begins as the student
    brain.epoch = 2
    step(brain, [0, 1], torch.zeros(2, 2))
    assert brain.label_queue.queue.tolist() == [[-1, 1], [-1, 1], [-1, -1]]
    assert brain.reflective_epoch == 0.0
