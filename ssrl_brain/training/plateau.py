"""A learning rate that falls when training no longer gets on."""

import math

import torch


class ReduceOnPlateau(torch.nn.Module):
    """A schedule, divided whenever the training loss reaches a plateau.

    Iterative framework, section 3.3.3. Unlike ``ssrl_brain.training.schedules`` it
    depends on what happened, so its state is in buffers for the checkpoints.

    Arguments
    ---------
    schedule : callable
        Of the fractional epoch.
    factor : float
        What each plateau multiplies the schedule by.
    patience : float
        Epochs in a row without progress that make a plateau; inf: never.
    min_progress : float
        Share of the best loss so far by which a loss must be below it.

    Example
    -------
    >>> from ssrl_brain.training.schedules import Constant
    >>> rate = ReduceOnPlateau(Constant(1.0), patience=2)
    >>> for loss in (3.0, 2.0, 2.1, 2.0):
    ...     rate.observe(loss)
    >>> round(rate(4), 6)
    0.1
    """

    def __init__(self, schedule, factor=0.1, patience=2, min_progress=0.01):
        super().__init__()
        self.schedule = schedule
        self.factor = factor
        self.patience = patience
        self.min_progress = min_progress
        # double precision: a resumed run must compare the very same numbers
        best = torch.tensor(math.inf, dtype=torch.float64)
        self.register_buffer("best", best)
        self.register_buffer("epochs_without_progress", torch.tensor(0))
        self.register_buffer("num_plateaus", torch.tensor(0))

    def forward(self, epoch):
        """Learning rate at a fractional epoch."""
        return self.schedule(epoch) * self.factor ** self.num_plateaus.item()

    def observe(self, loss):
        """Takes note of the training loss of an epoch, float."""
        if loss < self.best.item() * (1 - self.min_progress):
            self.best.fill_(loss)
            self.epochs_without_progress.zero_()
            return
        self.epochs_without_progress += 1
        if self.epochs_without_progress.item() >= self.patience:
            self.num_plateaus += 1
            self.epochs_without_progress.zero_()
