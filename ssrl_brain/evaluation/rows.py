"""Results of many utterances, made by several ranks: who holds which.

A rank holds what it made, and the first one, or each, what all have made. At
a hundred million utterances that is more than memory has room for: it may be
a file.
"""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from speechbrain.utils.logger import get_logger

from ssrl_brain.system.distributed import num_ranks, rank
from ssrl_brain.system.files import naming_failed_writes

logger = get_logger(__name__)

BLOCK = 2**16  # rows that go from rank to rank at once: a GPU has room for them


class ScratchArrays:
    """Makes float32 arrays that lie in a file without a name.

    The file is gone with the array, whatever ends the process. Its place on
    the disk is taken at once, for a full disk would later kill.

    Arguments
    ---------
    folder : str or Path
        Where there is room; it is made.

    Example
    -------
    >>> array = ScratchArrays(getfixture("tmp_path") / "new")((2, 3))
    >>> array[1] = 7
    >>> array.sum(), os.listdir(getfixture("tmp_path") / "new")
    (np.float32(21.0), [])
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def __call__(self, shape):
        """(n, D) -> array of zeros"""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (
            naming_failed_writes(self.folder),
            tempfile.TemporaryFile(dir=self.folder) as file,
        ):
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(file.fileno(), 0, 4 * shape[0] * shape[1])
            try:
                return np.memmap(file, np.float32, "w+", shape=shape)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
        logger.warning(
            "The file system of %s cannot map files: embeddings are held in "
            "memory",
            self.folder,
        )
        return in_memory(shape)


def in_memory(shape):
    """(n, D) -> float32 array of zeros"""
    return np.zeros(shape, dtype=np.float32)


class Rows:
    """(n, D) results, each made by one of the ranks.

    Arguments
    ---------
    num_rows : int
        Of all ranks together.
    num_own : int
        Of this rank.
    into : callable, optional
        From a shape to the array that all results are written to, on the
        first rank alone. By default every rank gets them, in memory.

    Example
    -------
    >>> rows = Rows(num_rows=3, num_own=3)
    >>> rows.put([2, 0], torch.tensor([[7.0], [5.0]]))
    >>> rows.put([1], torch.tensor([[6.0]]))
    >>> rows.of_all_ranks("cpu")
    tensor([[5.],
            [6.],
            [7.]])
    """

    def __init__(self, num_rows, num_own, into=None):
        self.num_rows = num_rows
        self.for_all = into is None
        self.make = into or in_memory
        # of several ranks, own rows lie one after the other
        self.numbers = torch.empty(num_own, dtype=torch.int64)
        self.own = None
        self.filled = 0

    def put(self, numbers, vectors):
        """numbers (m,) of the rows, vectors (m, D) on the CPU."""
        if self.own is None:
            alone = num_ranks() == 1
            shape = self.num_rows if alone else len(self.numbers)
            make = self.make if alone else in_memory
            self.own = torch.from_numpy(make((shape, vectors.shape[1])))
        if num_ranks() == 1:
            self.own[numbers] = vectors
            return
        places = slice(self.filled, self.filled + len(vectors))
        self.numbers[places] = torch.as_tensor(numbers)
        self.own[places] = vectors
        self.filled = places.stop

    def of_all_ranks(self, device):
        """(n, D) float32 on the CPU; None on those that do not get them.

        Arguments
        ---------
        device : str or torch.device
            On which ranks exchange rows.
        """
        if num_ranks() == 1:
            return self.own
        dim = torch.tensor(
            0 if self.own is None else self.own.shape[1], device=device
        )
        dist.all_reduce(dim, dist.ReduceOp.MAX)
        if self.own is None:
            raise ValueError("fewer utterances than ranks: use fewer ranks")
        gets_them = self.for_all or rank() == 0
        found = self.make((self.num_rows, int(dim))) if gets_them else None
        for start, block in self._blocks(int(dim), device):
            dist.all_reduce(block) if self.for_all else dist.reduce(block, 0)
            if gets_them:
                found[start : start + len(block)] = block.cpu()
        return torch.from_numpy(found) if gets_them else None

    def _blocks(self, dim, device):
        """Yields (first row, rows), zero where another rank has made them."""
        numbers, order = self.numbers.sort()
        starts = range(0, self.num_rows, BLOCK)
        cuts = torch.searchsorted(numbers, torch.tensor([*starts]))
        parts = order.tensor_split(cuts[1:])
        for start, part in zip(starts, parts, strict=True):
            size = min(BLOCK, self.num_rows - start)
            block = torch.zeros(size, dim)
            block[self.numbers[part] - start] = self.own[part]
            yield start, block.to(device)
