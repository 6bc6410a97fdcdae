"""Embeddings of the faces of whole utterances, in the order of a table."""

import numpy as np
import torch

from ssrl_brain.evaluation.embed import read_batches
from ssrl_brain.evaluation.rows import Rows
from ssrl_brain.system.distributed import num_ranks, rank


class _Frames(torch.utils.data.Dataset):
    """Batches of frames, with the rows that they belong to."""

    def __init__(self, frames, rows, counts, size, batch_frames):
        self.frames = frames
        self.size = size
        rows = np.repeat(rows.astype(np.int32), counts)
        starts = np.cumsum(counts) - counts
        positions = np.arange(len(rows)) - np.repeat(starts, counts)
        cuts = np.arange(batch_frames, len(rows), batch_frames)
        self.rows = np.split(rows, cuts) if len(rows) else []
        self.positions = np.split(positions.astype(np.int32), cuts)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        rows, positions = self.rows[number], self.positions[number]
        # once for each utterance: a video of an hour has 90,000 names
        names = {row: self.frames.names_of(row) for row in np.unique(rows)}
        images = [
            self.frames.read(row, names[row][position], self.size)
            for row, position in zip(rows, positions, strict=True)
        ]
        rows = torch.from_numpy(rows.astype(np.int64))
        return rows, torch.from_numpy(np.stack(images))


@torch.no_grad()
def embed_frames(
    encode,
    frames,
    image_size,
    device="cpu",
    batch_frames=64,
    num_workers=0,
    progress=None,
    into=None,
):
    """Embeds utterances as the mean over all of their frames (choice).

    The work is shared by all ranks.

    Arguments
    ---------
    encode : callable
        (n, 3, L, L) uint8 -> (n, D)
    frames : Frames
        Of N utterances.
    image_size : int
        Height and width of the images, in pixels.
    device : str or torch.device
    batch_frames : int
        Frames in a batch, of one or several utterances.
    num_workers : int
        Reading processes.
    progress : str, optional
        Title of a progress bar.
    into : callable, optional
        See ``ssrl_brain.evaluation.rows.Rows``.

    Returns
    -------
    torch.Tensor
        (N, D) float32 on the CPU; with ``into`` None on all ranks but the
        first.
    """
    counts = np.array(
        [1 + names.count("/") for names in frames.names], dtype=np.int64
    )
    mine = shares(counts, num_ranks())[rank()]
    batches = _Frames(frames, mine, counts[mine], image_size, batch_frames)
    bar = read_batches(batches, num_workers, progress)
    embeddings = Rows(len(frames), len(mine), into)
    found = ((rows, encode(images.to(device)).cpu()) for rows, images in bar)
    for rows, sums in sums_of_rows(found):
        number = torch.from_numpy(counts[rows])[:, None]
        embeddings.put(rows, (sums / number).float())
    return embeddings.of_all_ranks(device)


def shares(counts, num_ranks):
    """Rows of each rank: one after the other, with about as many frames.

    Arguments
    ---------
    counts : numpy.ndarray
        (N,) frames of each utterance.
    num_ranks : int
        At most N, or the last get none.

    Returns
    -------
    list of numpy.ndarray

    Example
    -------
    >>> [x.tolist() for x in shares(np.array([5, 1, 1, 1, 2]), 2)]
    [[0], [1, 2, 3, 4]]
    """
    number = np.arange(1, num_ranks)
    cuts = 1 + np.searchsorted(
        counts.cumsum(), counts.sum() * number / num_ranks
    )
    # each rank gets one at least
    cuts = np.maximum.accumulate(cuts - number) + number
    cuts = np.minimum(cuts, np.maximum(len(counts) - num_ranks + number, 0))
    return np.split(np.arange(len(counts)), cuts)


def sums_of_rows(batches):
    """Yields sums over all vectors of a row, once these have come.

    Arguments
    ---------
    batches : iterable
        Of pairs, rows (n,) ascending without a gap, from batch to batch as
        well, and vectors (n, D).

    Yields
    ------
    numpy.ndarray
        (m,) rows.
    torch.Tensor
        (m, D) float64 sums.

    Example
    -------
    >>> batches = [([0, 0, 1], [1, 2, 3]), ([1, 2], [4, 5])]
    >>> tensors = ((torch.tensor(x), torch.tensor(y)) for x, y in batches)
    >>> for rows, sums in sums_of_rows((x, y[:, None]) for x, y in tensors):
    ...     print(rows.tolist(), sums.flatten().tolist())
    [0] [3.0]
    [1] [7.0]
    [2] [5.0]
    """
    last, unfinished = None, None
    for rows, vectors in batches:
        first, end = int(rows[0]), int(rows[-1])
        sums = torch.zeros(end - first + 1, vectors.shape[1]).double()
        if last == first:  # the batch before had its first frames
            sums[0] = unfinished
        elif last is not None:
            yield np.array([last]), unfinished[None]
        sums.index_add_(0, rows - first, vectors.double())
        if first < end:
            yield np.arange(first, end), sums[:-1]
        last, unfinished = end, sums[-1]
    if last is not None:
        yield np.array([last]), unfinished[None]
