"""Losses that stay on the device until several can be read at once."""

import math

import torch

from ssrl_brain.system.distributed import mean_over_ranks, rank


class UnreadLosses:
    """Losses of the last steps; reading one alone would wait for the device.

    Arguments
    ---------
    at_once : int
        Steps whose losses are read together.

    Example
    -------
    >>> losses = UnreadLosses(at_once=2)
    >>> losses.add(1, torch.tensor(4.0))
    >>> losses.are_due
    False
    >>> losses.add(2, torch.tensor(math.nan))
    >>> losses.are_due, losses.read(0.0)
    (True, (4.0, 1))
    """

    def __init__(self, at_once):
        self.at_once = at_once
        self.steps, self.losses = [], []

    @property
    def are_due(self):
        """Whether there are as many as are read together."""
        return len(self.losses) >= self.at_once

    def add(self, step, loss):
        """Notes a step of the epoch, counted from one, and its loss ()."""
        self.steps.append(step)
        self.losses.append(loss)

    def read(self, average, tell=None):
        """Waits for the losses, all ranks together, and forgets them.

        Arguments
        ---------
        average : float
            Of the steps before.
        tell : callable, optional
            Called with every step and its loss, on the first rank.

        Returns
        -------
        average : float
            With these steps, as far as their losses are finite.
        nonfinite : int
            How many are not.
        """
        if not self.losses:
            return average, 0
        values = mean_over_ranks(torch.stack(self.losses)).tolist()
        finite = [math.isfinite(value) for value in values]
        for step, value, usable in zip(self.steps, values, finite, strict=True):
            if usable:  # in the toolkit's order: the same sum to the last bit
                average -= average / step
                average += value / step
            if tell is not None and rank() == 0:
                tell(step, value)
        self.steps, self.losses = [], []
        return average, finite.count(False)
