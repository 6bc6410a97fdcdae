"""Values that change with training time, as pure functions of the epoch.

Papers speak in epochs; the argument is the fractional epoch (2.5 is half way
through the third). There is nothing to checkpoint.
"""

import math


class Constant:
    """Always the same value.

    Example
    -------
    >>> Constant(0.1)(7)
    0.1
    """

    def __init__(self, value):
        self.value = value

    def __call__(self, epoch):
        return self.value


class Linear:
    """From ``start`` to ``end`` in so many epochs, then ``end``.

    Example
    -------
    >>> [Linear(1.0, 0.0, epochs=4)(epoch) for epoch in (0, 1, 4, 9)]
    [1.0, 0.75, 0.0, 0.0]
    """

    def __init__(self, start, end, epochs):
        self.start = start
        self.end = end
        self.epochs = epochs

    def __call__(self, epoch):
        share = min(epoch / self.epochs, 1.0) if self.epochs > 0 else 1.0
        return self.start + (self.end - self.start) * share


class Cosine:
    """Linear warm-up, then half a cosine from ``start`` to ``end``.

    Arguments
    ---------
    start, end : float
    epochs : float
        Epoch at which ``end`` is reached, warm-up included.
    warmup_epochs : float
    warmup_start : float
        Value at epoch 0 where there is a warm-up.

    Example
    -------
    >>> schedule = Cosine(1.0, 0.0, epochs=5, warmup_epochs=1)
    >>> [round(schedule(epoch), 3) for epoch in (0, 0.5, 1, 3, 5, 9)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, start, end, epochs, warmup_epochs=0.0, warmup_start=0.0):
        self.start = start
        self.end = end
        self.epochs = epochs
        self.warmup_epochs = warmup_epochs
        self.warmup_start = warmup_start

    def __call__(self, epoch):
        if epoch < self.warmup_epochs:
            return Linear(self.warmup_start, self.start, self.warmup_epochs)(
                epoch
            )
        length = self.epochs - self.warmup_epochs
        share = (epoch - self.warmup_epochs) / length if length > 0 else 1.0
        share = min(share, 1.0)
        middle = 0.5 * (1.0 + math.cos(math.pi * share))
        return self.end + (self.start - self.end) * middle


class Exponential:
    """From ``start`` to ``end`` by the same factor every epoch.

    Example
    -------
    >>> round(Exponential(1.0, 0.01, epochs=2)(1), 6)
    0.1
    """

    def __init__(self, start, end, epochs):
        self.start = start
        self.end = end
        self.epochs = epochs

    def __call__(self, epoch):
        share = min(epoch / self.epochs, 1.0) if self.epochs > 0 else 1.0
        return self.start * (self.end / self.start) ** share


class Sequence:
    """One schedule after another, each with its own clock.

    Arguments
    ---------
    schedules : list of callable
    epochs : list of float
        Length of each but the last, which goes on.

    Example
    -------
    >>> schedule = Sequence([Constant(1.0), Linear(0.5, 0.0, 5)], [10])
    >>> schedule(9.9), schedule(10), schedule(15)
    (1.0, 0.5, 0.0)
    """

    def __init__(self, schedules, epochs):
        self.schedules = schedules
        self.epochs = epochs

    def __call__(self, epoch):
        for schedule, length in zip(self.schedules, self.epochs, strict=False):
            if epoch < length:
                return schedule(epoch)
            epoch -= length
        return self.schedules[-1](epoch)
