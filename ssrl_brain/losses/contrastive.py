"""Contrastive loss over the other utterances of a batch."""

import torch
import torch.nn.functional as F

from ssrl_brain.system.devices import full_precision


class NTXentLoss(torch.nn.Module):
    """Contrastive self-supervised loss (iterative framework, eq. 2-3).

    Arguments
    ---------
    temperature : float
    positive_in_denominator : bool
        The paper prints a denominator of negatives only; SimCLR has the
        positive in it as well.

    Example
    -------
    >>> loss = NTXentLoss(temperature=1.0)
    >>> loss(torch.eye(2), torch.eye(2))  # log(2) - 1
    tensor([-0.3069, -0.3069])
    """

    def __init__(self, temperature=0.1, positive_in_denominator=False):
        super().__init__()
        self.temperature = temperature
        self.positive_in_denominator = positive_in_denominator

    def forward(self, first, second):
        """first, second (B, D) views of B utterances -> (B,) losses

        Each loss averages both directions. Raises ValueError for a single
        utterance, which has no negatives.
        """
        num = len(first)
        if num < 2:
            raise ValueError("a contrastive loss needs two utterances")
        views = F.normalize(torch.cat([first, second]).float(), dim=-1)
        with full_precision(views):
            similarity = views @ views.T / self.temperature  # (2B, 2B)
        utterance = torch.arange(2 * num, device=views.device) % num
        same = utterance[:, None] == utterance[None, :]
        positive = similarity.diagonal(num).repeat(2)  # (2B,)
        normaliser = similarity.masked_fill(same, -torch.inf).logsumexp(-1)
        if self.positive_in_denominator:
            normaliser = torch.logaddexp(normaliser, positive)
        return (normaliser - positive).view(2, num).mean(0)
