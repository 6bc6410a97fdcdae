"""Dynamic loss gate and label correction (DLG-LC, Algorithm 1)."""

import math

import torch

from ssrl_brain.brains.pseudo_label import PseudoLabelBrain
from ssrl_brain.noisy_labels.gmm import fit_two_gaussians
from ssrl_brain.noisy_labels.histograms import loss_histograms
from ssrl_brain.noisy_labels.memory import GateMemory
from ssrl_brain.system.distributed import gather_rows


class DLGLCBrain(PseudoLabelBrain):
    """Learns from labels with a small loss and corrects some of the others.

    The first of the YAML's ``views`` is clean and decides, the second is
    augmented and learns.
    """

    def make_state(self):
        """The labels, the gate, and what is recorded of each utterance."""
        super().make_state()
        self.remember("gate", self.hparams.gate)
        self.remember("gate_memory", GateMemory(len(self.labels)))

    def compute_forward(self, batch, stage):
        """Outputs (B, K) of the classifier for both crops (lines 2 and 3)."""
        clean, augmented = (self.features(view) for view in batch.views)
        with torch.no_grad():  # it is a gate and a target, see DLGLCLoss
            _, clean = self.modules.student([clean])
        _, augmented = self.modules.student([augmented])
        return clean, augmented

    def compute_objectives(self, outputs, batch, stage):
        """Lines 4 to 16; those dropped count as zero in the mean."""
        clean, augmented = outputs
        index = batch.index
        gated = self.hparams.dlg_lc_loss(
            clean, augmented, self.labels[index], self.gate.value
        )
        self.gate_memory.write(
            *gather_rows(
                index,
                gated.clean_loss,
                clean.argmax(-1),
                gated.reliable,
                gated.corrected,
            )
        )
        return gated.loss.mean()

    def end_epoch(self, epoch):
        """Sets the gate of the next epoch (line 18)."""
        memory = self.gate_memory
        record = {"gate": finite(self.gate.value)}
        record |= memory.shares()
        table, labels = self.train_set.utterances, self.train_set.labels
        found = memory.prediction, memory.passed, memory.corrected
        record |= self.hparams.gate_metrics(
            table, labels, *(tensor.cpu().numpy() for tensor in found)
        )
        right = self.hparams.gate_metrics.right(table, labels)
        axis = self.hparams.loss_axis
        return record | close_gate(self.gate, axis, memory.loss, epoch, right)


def close_gate(gate, axis, loss, epoch, right=None):
    """Sets a gate for the next epoch (line 18).

    Arguments
    ---------
    gate : torch.nn.Module
        See ``ssrl_brain.noisy_labels.gate``.
    axis : object
        See ``ssrl_brain.noisy_labels.loss_axis``.
    loss : torch.Tensor
        (N,) losses that were recorded in the epoch.
    epoch : int
        The epoch that ends.
    right : numpy.ndarray, optional
        (N,) bool, which labels are right, for the log.

    Returns
    -------
    dict
        The new gate, the mixture and the histograms of the losses.
    """
    losses = axis.of(loss)
    mixture = fit_two_gaussians(losses)
    gate.close_epoch(epoch, mixture)
    record = {
        "next_gate": finite(gate.value),
        "next_gate_on_axis": finite(axis.of(gate.value)),
        "loss_axis": axis.label,
    }
    if mixture is not None:
        record["mixture"] = [x.tolist() for x in mixture]
    return record | loss_histograms(losses, right)


def finite(value):
    """A number for the log, where JSON has no infinity: None.

    Example
    -------
    >>> finite(torch.tensor(0.5)), finite(torch.tensor(math.inf))
    (0.5, None)
    """
    return value.item() if math.isfinite(value) else None
