"""Online clustering: from the teacher's posteriors to predicted labels.

An assignment takes the posteriors of a batch and returns the labels that are
ready: those of the batch, or of several batches at once, or none yet.
"""

import torch


class ArgmaxAssignment(torch.nn.Module):
    """The most probable cluster (SSRL, eq. 6).

    Example
    -------
    >>> assign = ArgmaxAssignment()
    >>> assign(torch.tensor([7]), torch.tensor([[0.1, 0.9]]))
    (tensor([7]), tensor([1]))
    """

    def forward(self, index, probs):
        """index (B,), probs (B, K) -> index (M,), labels (M,)"""
        return index, probs.argmax(-1)
