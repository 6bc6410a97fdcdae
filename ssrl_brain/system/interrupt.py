"""Ctrl-C while training: the step is finished and saved, then it stops."""

import contextlib
import signal
import threading

from speechbrain.utils.logger import get_logger

from ssrl_brain.system.distributed import num_ranks

logger = get_logger(__name__)


@contextlib.contextmanager
def after_the_step(brain):
    """Makes the first Ctrl-C wait for the end of a step.

    The brain sees ``interrupted``, saves and raises ``KeyboardInterrupt``. A
    second Ctrl-C, or one between epochs, stops at once; so does the first on
    several ranks, which may be at different steps.

    Arguments
    ---------
    brain : SpeakerBrain

    Example
    -------
    >>> class Brain:
    ...     inside_epoch, interrupted = True, False
    >>> with after_the_step(Brain) as brain:
    ...     signal.raise_signal(signal.SIGINT)
    ...     brain.interrupted
    True
    """
    if num_ranks() > 1 or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield brain
        return

    def note(number, frame):
        if brain.interrupted or not brain.inside_epoch:
            raise KeyboardInterrupt
        brain.interrupted = True
        logger.info("Finishing this step and saving; Ctrl-C again: at once")

    # reading processes inherit this, and so do not die before the step ends
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield brain
    finally:
        signal.signal(signal.SIGINT, previous)
