"""Embeddings of the faces of whole utterances, in the order of a table."""

import numpy as np
import torch

from ssrl_brain.evaluation.embed import read_batches, sum_over_ranks
from ssrl_brain.system.distributed import num_ranks, rank


class _AllFrames(torch.utils.data.Dataset):
    """Batches of frames, with the rows that they belong to."""

    def __init__(self, frames, size, batch_frames):
        self.frames = frames
        self.size = size
        counts = [
            1 + frames.names[row].count("/") for row in range(len(frames))
        ]
        rows = np.repeat(np.arange(len(frames), dtype=np.int32), counts)
        starts = np.cumsum(counts) - counts
        positions = np.arange(len(rows)) - np.repeat(starts, counts)
        cuts = np.arange(batch_frames, len(rows), batch_frames)
        self.rows = np.split(rows, cuts)
        self.positions = np.split(positions.astype(np.int32), cuts)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        images = [
            self.frames.read(
                row, self.frames.names_of(row)[position], self.size
            )
            for row, position in zip(
                self.rows[number], self.positions[number], strict=True
            )
        ]
        rows = torch.from_numpy(self.rows[number].astype(np.int64))
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

    Returns
    -------
    torch.Tensor
        (N, D) float32 on the CPU.
    """
    batches = _AllFrames(frames, image_size, batch_frames)
    mine = range(len(batches))[rank() :: num_ranks()]
    bar = read_batches(
        torch.utils.data.Subset(batches, mine), num_workers, progress
    )
    sums = None
    for rows, images in bar:
        vectors = encode(images.to(device)).cpu().double()
        if sums is None:
            sums = torch.zeros(len(frames), vectors.shape[1]).double()
        sums.index_add_(0, rows, vectors)
    sums = sum_over_ranks(sums, device)
    counts = [len(frames.names_of(row)) for row in range(len(frames))]
    return (sums / torch.tensor(counts)[:, None]).float()
