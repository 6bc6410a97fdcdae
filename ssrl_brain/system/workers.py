"""How reading processes hand batches over: by shared memory or by a pipe."""

import errno
import multiprocessing.queues
import os
import sys

import torch
from torch.utils.data import get_worker_info

SPARE = 4  # files that sharing one tensor may need at once
MORE_FILES = "raise their number with `ulimit -n 4096`, or lower --num_workers"


class ByPipe:
    """A tensor whose bytes are pickled; it arrives as a tensor.

    PyTorch puts tensors for other processes into shared memory, and where
    there is none left (Docker gives 64 MB) a loader waits for ever.

    Example
    -------
    >>> import pickle
    >>> pickle.loads(pickle.dumps(ByPipe(torch.ones(2))))
    tensor([1., 1.])
    """

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return torch.from_numpy, (self.tensor.numpy(),)


def hand_over(batch):
    """A batch that can leave a reading process, whatever memory is shared.

    Arguments
    ---------
    batch : torch.Tensor, tuple, list or None
        Tensors on the CPU, also inside of tuples and lists.

    Returns
    -------
    as ``batch``
        The tensors in shared memory, those that find no room as ``ByPipe``;
        outside of a reading process all as they are.

    Example
    -------
    >>> hand_over((torch.ones(1), None))
    (tensor([1.]), None)
    """
    if get_worker_info() is None or batch is None:
        return batch
    if isinstance(batch, torch.Tensor):
        return _shared(batch)
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_die)
    parts = [hand_over(part) for part in batch]
    return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)


def _shared(tensor):
    """A tensor in shared memory; by pipe where that is full or absent."""
    spare = []
    try:
        for _ in range(SPARE):
            spare.append(os.dup(2))
        return tensor.share_memory_()
    except (RuntimeError, OSError):  # also for want of files
        return ByPipe(tensor)
    finally:
        for descriptor in spare:
            os.close(descriptor)


def _die(error, _):
    """Ends this process; by itself it would go on without the batch.

    The loader would wait for that one; a dead process it notices.
    """
    too_many = getattr(error, "errno", None) == errno.EMFILE
    remedy = f": {MORE_FILES}" if too_many else ""
    print(f"a batch cannot be handed over: {error}{remedy}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(1)
