"""Which device a run is on, and in which precision it multiplies there."""

import os
from pathlib import Path

import torch
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def check_device(device):
    """Refuses one GPU for several ranks; warns of a GPU that lies idle.

    Arguments
    ---------
    device : str or None
        As the command line names it; None chooses.

    Raises
    ------
    ValueError
    """
    ranks_here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if device and device.startswith("cuda") and ranks_here > 1:
        raise ValueError(
            f"--device={device} would put {ranks_here} ranks on one GPU: leave "
            "--device out, each rank then takes the GPU of its own number"
        )
    if not device and not torch.cuda.is_available() and NVIDIA_DRIVER.exists():
        logger.warning(
            "There is an NVIDIA driver, but torch %s (for CUDA %s) cannot use "
            "it: this runs on the CPU. Update the driver, or install a torch "
            "for an older CUDA: https://pytorch.org/get-started/locally",
            torch.__version__,
            torch.version.cuda,
        )


def full_precision(like):
    """A context in which autocast leaves products in the type they are given.

    A product takes half precision inside of autocast even if its factors were
    made float32 just before. Where its result is compared (cosines of close
    clusters) or divided by a small temperature, that is too little.

    Arguments
    ---------
    like : torch.Tensor
        On the device of the product.

    Example
    -------
    >>> x = torch.rand(2, 2)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     half = x @ x
    ...     with full_precision(x):
    ...         full = x @ x
    >>> half.dtype, full.dtype
    (torch.bfloat16, torch.float32)
    """
    return torch.autocast(like.device.type, enabled=False)
