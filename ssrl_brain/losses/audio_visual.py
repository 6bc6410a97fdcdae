"""Loss gate and label correction of two modalities together (DLG-LC, IV-C)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from ssrl_brain.losses.dlg_lc import DLGLCLoss

# What becomes of an utterance, in each modality.
CASES = ("dropped", "passed", "agreed", "corrected")
DROPPED, PASSED, AGREED, CORRECTED = range(len(CASES))


def joint_cases(below_gate, agree, confident):
    """Which case each utterance is, in each modality (DLG-LC, IV-C1).

    It has passed if its loss is below the gate in all modalities. If not, and
    all modalities predict one class, this class is its label. If they do not,
    each modality learns from its own posterior, where that is confident.

    Arguments
    ---------
    below_gate : torch.Tensor
        (M, B) bool, whether the loss of a modality is below its own gate.
    agree : torch.Tensor
        (B,) bool, whether all modalities predict the same class.
    confident : torch.Tensor
        (M, B) bool, whether the posterior of a modality may be a target.

    Returns
    -------
    torch.Tensor
        (M, B) positions in ``CASES``.

    Example
    -------
    >>> yes, no = [True], [False]
    >>> below, confident = torch.tensor([yes, no]), torch.tensor([no, yes])
    >>> joint_cases(below, torch.tensor(no), confident).tolist()
    [[0], [3]]
    """
    case = torch.where(confident, CORRECTED, DROPPED)
    case = torch.where(agree, AGREED, case)
    return torch.where(below_gate.all(0), PASSED, case)


class JointLoss(NamedTuple):
    """What became of each utterance of a batch, each field (M, B)."""

    loss: torch.Tensor  # to learn from; 0 where it is dropped
    clean_loss: torch.Tensor  # to record; without gradient
    prediction: torch.Tensor  # class of the clean view
    case: torch.Tensor  # position in CASES


class JointDLGLCLoss(DLGLCLoss):
    """Learns from the label, else from what all predict, else from itself.

    DLG-LC, IV-C1. Modalities decide together and learn apart: as in
    ``DLGLCLoss``, no gradient reaches a clean view.

    Arguments are those of ``DLGLCLoss``.

    Example
    -------
    >>> from ssrl_brain.losses.margin import CrossEntropy
    >>> loss = JointDLGLCLoss(CrossEntropy())
    >>> clean = torch.tensor([[[2.0, 0.0]] * 3, [[2.0, 0.0]] * 2 + [[0.0, 2]]])
    >>> labels, gates = torch.tensor([0, 1, 1]), torch.tensor([0.5, 0.5])
    >>> found = loss(clean, torch.zeros(2, 3, 2), labels, gates)
    >>> [[CASES[case] for case in row] for row in found.case]
    [['passed', 'agreed', 'corrected'], ['passed', 'agreed', 'corrected']]
    """

    def forward(self, clean, augmented, labels, gates):
        """Decides for each utterance by the clean views of all modalities.

        Arguments
        ---------
        clean, augmented : torch.Tensor
            (M, B, K) outputs of the classifiers for both views.
        labels : torch.Tensor
            (B,) pseudo labels.
        gates : torch.Tensor
            (M,) losses below which a modality trusts a label.

        Returns
        -------
        JointLoss
        """
        with torch.no_grad():
            clean_loss = self._margin_losses(
                clean, labels.expand(len(clean), -1)
            )
            logits = self.margin_loss.logits(clean)
            prediction = logits.argmax(-1)
            confidence = logits.softmax(-1).amax(-1)
            target = (logits / self.sharpening_temp).softmax(-1)
        agree = (prediction == prediction[0]).all(0)
        case = joint_cases(
            clean_loss < gates[:, None],
            agree & self.label_correction,
            (confidence > self.confidence_threshold) & self.label_correction,
        )
        hard = torch.where(case == PASSED, labels, prediction[0])
        by_label = self._margin_losses(augmented, hard)
        by_posterior = F.cross_entropy(
            self.margin_loss.logits(augmented).movedim(-1, 1),
            target.movedim(-1, 1),
            reduction="none",
        )
        loss = torch.where(case == CORRECTED, by_posterior, 0.0)
        loss = torch.where((case == PASSED) | (case == AGREED), by_label, loss)
        return JointLoss(loss, clean_loss, prediction, case)

    def _margin_losses(self, outputs, labels):
        """outputs (M, B, K), labels (M, B) -> (M, B)"""
        losses = self.margin_loss(outputs.flatten(0, 1), labels.flatten())
        return losses.view(labels.shape)
