"""Embeddings that are computed once, and again when anything has changed."""

from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger

from ssrl_brain.system.distributed import first_rank_says
from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.system.folders import atomic_folder

logger = get_logger(__name__)


def cached_embeddings(folder, key, embed, device="cpu"):
    """Embeddings from a folder, if it was made from just this; else anew.

    Arguments
    ---------
    folder : str or Path
        Holds ``embeddings.npy`` and ``key.json``; replaced as a whole.
    key : dict
        Plain values that decide about the result.
    embed : callable
        () -> (N, D) tensor; called on all ranks, or on none.
    device : str
        For the word of the first rank, which decides.

    Returns
    -------
    torch.Tensor
        (N, D) float32.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "cache"
    >>> cached_embeddings(folder, {"of": "a"}, lambda: torch.eye(2))[0]
    tensor([1., 0.])
    >>> cached_embeddings(folder, {"of": "a"}, lambda: 1 / 0)[0]
    tensor([1., 0.])
    """
    folder = Path(folder)
    if first_rank_says(read_json(folder / "key.json") == key, device):
        logger.info("Embeddings of an earlier run: %s", folder)
        values = np.load(folder / "embeddings.npy", allow_pickle=False)
        return torch.from_numpy(values)
    embeddings = embed()
    if if_main_process():
        with atomic_folder(folder, "embeddings") as partial:
            np.save(partial / "embeddings.npy", embeddings.numpy())
            write_json(partial / "key.json", key)
    return embeddings
