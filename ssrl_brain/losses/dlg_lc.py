"""Loss gate with label correction (DLG-LC, Algorithm 1)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F


class GatedLoss(NamedTuple):
    """What became of each utterance of a batch, each field (B,).

    An utterance that is neither ``reliable`` nor ``corrected`` is dropped:
    its ``loss`` is 0.
    """

    loss: torch.Tensor  # to learn from
    clean_loss: torch.Tensor  # to record; without gradient
    reliable: torch.Tensor  # bool: below the gate
    corrected: torch.Tensor  # bool: learns from the model's own posterior


class DLGLCLoss(torch.nn.Module):
    """Learns from the label, else from the clean crop's posterior, else not.

    DLG-LC, lines 4 to 16 of Algorithm 1 and equations 9 to 11. No gradient
    reaches the clean crop: its loss is only recorded and compared with the
    gate, and its posterior is a target. Its forward pass needs no graph.

    Arguments
    ---------
    margin_loss : torch.nn.Module
        ``MarginCrossEntropy``: a loss per utterance, and margin-free
        ``logits`` from which posteriors are made.
    confidence_threshold : float
        Largest posterior that a clean crop must exceed to be a target.
    sharpening_temp : float
        Divides the logits of the target, as in equation 3.
    label_correction : bool
        False drops every utterance above the gate.

    Example
    -------
    >>> from ssrl_brain.losses.margin import CrossEntropy
    >>> loss = DLGLCLoss(CrossEntropy())
    >>> clean = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 0.0]])
    >>> labels = torch.tensor([0, 1, 1])
    >>> loss(clean, torch.zeros(3, 2), labels, gate=0.5).loss
    tensor([0.6931, 0.6931, 0.0000])
    """

    def __init__(
        self,
        margin_loss,
        confidence_threshold=0.5,
        sharpening_temp=0.1,
        label_correction=True,
    ):
        super().__init__()
        self.margin_loss = margin_loss
        self.confidence_threshold = confidence_threshold
        self.sharpening_temp = sharpening_temp
        self.label_correction = label_correction

    def forward(self, clean, augmented, labels, gate):
        """Decides for each utterance by the loss of its clean crop.

        Arguments
        ---------
        clean, augmented : torch.Tensor
            (B, K) outputs of the classifier for both crops.
        labels : torch.Tensor
            (B,) pseudo labels.
        gate : float or torch.Tensor
            Losses below it are taken for those of right labels.

        Returns
        -------
        GatedLoss
        """
        with torch.no_grad():
            clean_loss = self.margin_loss(clean, labels)
            logits = self.margin_loss.logits(clean)
            confidence = logits.softmax(-1).amax(-1)
            target = (logits / self.sharpening_temp).softmax(-1)
        reliable = clean_loss < gate
        corrected = (
            ~reliable
            & (confidence > self.confidence_threshold)
            & self.label_correction
        )
        by_label = self.margin_loss(augmented, labels)
        by_posterior = F.cross_entropy(
            self.margin_loss.logits(augmented), target, reduction="none"
        )
        loss = torch.where(corrected, by_posterior, 0.0)
        loss = torch.where(reliable, by_label, loss)
        return GatedLoss(loss, clean_loss, reliable, corrected)
