"""Self-distillation with no labels: DINO and its consistency term."""

import torch
import torch.nn.functional as F

from ssrl_brain.system.devices import full_precision


class DINOLoss(torch.nn.Module):
    """Cross-entropy from centred, sharpened teacher to student (DINO, eq. 3).

    ``forward`` only reads the centre; ``update_center`` moves it.

    Arguments
    ---------
    num_prototypes : int
    student_temp : float
    center_momentum : float
        Weight of the old centre; 1 switches centring off (it stays at zero).

    Example
    -------
    >>> loss = DINOLoss(num_prototypes=5)
    >>> loss(torch.zeros(6, 4, 5), torch.zeros(2, 4, 5), teacher_temp=0.04)
    tensor([1.6094, 1.6094, 1.6094, 1.6094])
    """

    def __init__(self, num_prototypes, student_temp=0.1, center_momentum=0.9):
        super().__init__()
        self.student_temp = student_temp
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(num_prototypes))

    def targets(self, teacher, teacher_temp):
        """(..., K) logits of the teacher -> (..., K) probabilities"""
        return F.softmax((teacher.float() - self.center) / teacher_temp, -1)

    def forward(self, student, teacher, teacher_temp, num_shared=None):
        """Mean over all pairs of a teacher view and another student view.

        Arguments
        ---------
        student : torch.Tensor
            (V, B, K) logits.
        teacher : torch.Tensor
            (G, B, K) logits.
        teacher_temp : float
        num_shared : int
            The first so many student views are the teacher's first views and
            are not paired with themselves. By default all G; 0 where the
            student sees only crops of its own.

        Returns
        -------
        torch.Tensor
            (B,) one loss per utterance.
        """
        num_shared = len(teacher) if num_shared is None else num_shared
        targets = self.targets(teacher, teacher_temp).detach()
        scaled = student.float() / self.student_temp
        # Since targets sum to one, the cross-entropy is the log-normaliser
        # minus one product, and no (V, B, K) log-softmax is ever stored.
        normaliser = scaled.logsumexp(-1)  # (V, B)
        with full_precision(targets):
            products = torch.einsum("gbk,vbk->gvb", targets, scaled)
        losses = normaliser - products  # (G, V, B)
        g, v = (torch.arange(n, device=losses.device) for n in losses.shape[:2])
        paired = (g[:, None] != v) | (g[:, None] >= num_shared)
        return losses.mul(paired[..., None]).sum((0, 1)) / (
            paired.numel() - num_shared
        )

    @torch.no_grad()
    def update_center(self, mean_logits):
        """Moves the centre towards the batch mean over all ranks.

        Arguments
        ---------
        mean_logits : torch.Tensor
            (K,) mean of the teacher's logits.
        """
        self.center.lerp_(mean_logits.float(), 1.0 - self.center_momentum)


def cosine_consistency(student, teacher):
    """Pulls embeddings of one utterance together (CA-DINO, eq. 5).

    Sum over all pairs of a teacher and a student view of one minus their
    cosine; as printed, a view is compared with itself as well.

    Arguments
    ---------
    student : torch.Tensor
        (V, B, D)
    teacher : torch.Tensor
        (G, B, D)

    Returns
    -------
    torch.Tensor
        (B,)

    Example
    -------
    >>> cosine_consistency(torch.eye(2)[:, None], torch.eye(2)[:, None])
    tensor([2.])
    """
    student = F.normalize(student.float(), dim=-1)
    teacher = F.normalize(teacher.detach().float(), dim=-1)
    with full_precision(teacher):
        cosines = torch.einsum("gbd,vbd->gvb", teacher, student)
    return (1.0 - cosines).sum((0, 1))
