"""Loss gates of DLG-LC: below which loss a pseudo label is trusted.

A gate is asked for its ``value`` in every step and told of the mixture of the
recorded losses after every epoch, whether it follows it or not.
"""

import logging
import math

import torch

from ssrl_brain.noisy_labels.gmm import loss_gate
from ssrl_brain.noisy_labels.loss_axis import LogLoss

logger = logging.getLogger(__name__)


class FixedGate(torch.nn.Module):
    """Always the same gate (LG; DLG-LC, table VII: 1, 3 or 5).

    Arguments
    ---------
    threshold : float
        Loss of the clean crop; inf is no gate at all.
    open_epochs : int
        First epochs in which every label is trusted. A model that begins at
        random weights has no loss below such a threshold and would never
        learn.

    Example
    -------
    >>> gate = FixedGate(3.0)
    >>> gate.value
    tensor(inf)
    >>> gate.close_epoch(1, mixture=None)
    >>> gate.value
    tensor(3.)
    """

    def __init__(self, threshold=math.inf, open_epochs=1):
        super().__init__()
        self.threshold = threshold
        self.open_epochs = open_epochs
        first = math.inf if open_epochs > 0 else threshold
        self.register_buffer("value", torch.tensor(float(first)))

    def close_epoch(self, epoch, mixture):
        """Sets the gate of the epoch after this one."""
        if epoch >= self.open_epochs:
            self.value.fill_(self.threshold)


class DynamicGate(torch.nn.Module):
    """Where the two Gaussians of the last epoch are equal (DLG-LC, eq. 8).

    Arguments
    ---------
    open_epochs : int
        First epochs in which every label is trusted; at least 1, for before
        the first there is no mixture.
    loss_axis : object, optional
        Axis of the mixture, see ``loss_axis``; by default ``LogLoss``.

    Example
    -------
    >>> from ssrl_brain.noisy_labels.gmm import TwoGaussians
    >>> gate = DynamicGate()
    >>> mixture = torch.tensor([[0.5, 0.5], [-2, 2], [1, 1]])
    >>> gate.close_epoch(1, TwoGaussians(*mixture))
    >>> gate.value
    tensor(1.)
    """

    def __init__(self, open_epochs=1, loss_axis=None):
        super().__init__()
        if open_epochs < 1:
            raise ValueError(
                f"open_epochs must be at least 1, not {open_epochs}"
            )
        self.open_epochs = open_epochs
        self.loss_axis = loss_axis or LogLoss()
        self.register_buffer("value", torch.tensor(math.inf))

    def close_epoch(self, epoch, mixture):
        """Sets the gate of the epoch after this one.

        Losses that no mixture fits (all equal, for instance) leave the gate
        where it was.

        Arguments
        ---------
        epoch : int
            The epoch that ends.
        mixture : TwoGaussians or None
            Of its losses on the axis.
        """
        if epoch < self.open_epochs:
            return
        if mixture is None:
            logger.warning(
                "No mixture fits the losses of epoch %d: the gate stays at %g",
                epoch,
                self.value.item(),
            )
            return
        gate = torch.tensor(loss_gate(mixture), dtype=torch.float64)
        self.value.fill_(self.loss_axis.to_loss(gate))
