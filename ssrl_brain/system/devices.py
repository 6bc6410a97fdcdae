"""Devices: those that were asked for are there, one for each process.

And in which precision is multiplied there.
"""

import contextlib
import dataclasses
import functools
import os
import platform
from pathlib import Path

import torch
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
CPU_FLAGS = Path("/proc/cpuinfo")  # of Linux


def settle(options, environment=os.environ):
    """Run options with a device and a backend that this machine has.

    Arguments
    ---------
    options : speechbrain RunOptions
    environment : dict
        ``LOCAL_RANK`` and ``RANK`` are what torchrun says.

    Returns
    -------
    speechbrain RunOptions
        On several GPUs each process has its own, and without any they talk by
        gloo.

    Raises
    ------
    ValueError
        In one line: what is not there, and the remedy.

    Example
    -------
    >>> from speechbrain.utils.run_opts import RunOptions
    >>> given = RunOptions.from_dictionary({"device": "cpu"})
    >>> settle(given, {"LOCAL_RANK": "1", "RANK": "1"}).distributed_backend
    'gloo'
    """
    local_rank = environment.get("LOCAL_RANK")
    device = check_device(options.device)
    if device.type == "cpu" and options.precision == "bf16":
        warn_of_slow_bf16()
    if local_rank is None:
        return options
    changed = {}
    on_cuda = torch.cuda.is_available() and device.type == "cuda"
    if on_cuda:
        changed["device"] = own_device(options.device, int(local_rank))
    elif options.distributed_backend == "nccl":
        if "distributed_backend" in options.overridden_args:
            raise ValueError(
                "--distributed_backend=nccl needs a GPU for each process: "
                "leave it out, or give --distributed_backend=gloo"
            )
        changed["distributed_backend"] = "gloo"
        if environment.get("RANK") == "0":
            say_gloo()
    overridden = options.overridden_args | changed.keys()
    return dataclasses.replace(
        options, **changed, overridden_args=set(overridden)
    )


@functools.cache  # a chain asks for every step
def say_gloo():
    """Says once which backend was chosen."""
    logger.warning(
        "No GPU is used: the processes talk by gloo, as with "
        "--distributed_backend=gloo"
    )


def check_device(name):
    """The torch.device of a name; where there is none, the one to be used.

    Example
    -------
    >>> check_device("cpu")
    device(type='cpu')
    >>> check_device("gpu")
    Traceback (most recent call last):
    ...
    ValueError: --device=gpu is no device: give cpu, cuda or cuda:0
    """
    if name is None:
        warn_of_idle_gpu()
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(
            f"--device={name} is no device: give cpu, cuda or cuda:0"
        ) from None
    if device.type != "cuda":
        return device
    if not torch.cuda.is_available():
        raise ValueError(
            f"--device={name}: PyTorch finds no CUDA device here: leave it "
            "out, or give --device=cpu"
        )
    found = torch.cuda.device_count()
    if device.index is not None and device.index >= found:
        raise ValueError(
            f"--device={name}: there are {found} CUDA devices here, the first "
            "is cuda:0"
        )
    return device


def warn_of_idle_gpu():
    """Tells of a GPU that this installation of PyTorch cannot use."""
    if torch.cuda.is_available() or not NVIDIA_DRIVER.exists():
        return
    logger.warning(
        "There is an NVIDIA driver, but torch %s (for CUDA %s) cannot use it: "
        "this runs on the CPU. Update the driver, or install a torch for an "
        "older CUDA: https://pytorch.org/get-started/locally",
        torch.__version__,
        torch.version.cuda,
    )


@functools.cache  # a chain asks for every step
def warn_of_slow_bf16():
    """Tells of a processor that can multiply bfloat16 by detours alone."""
    known = platform.machine() in ("x86_64", "AMD64") and CPU_FLAGS.exists()
    if not known:
        return
    flags = CPU_FLAGS.read_text(encoding="utf-8").split()
    if not {"avx512_bf16", "amx_bf16"} & set(flags):
        logger.warning(
            "This processor does not multiply bfloat16 itself: with "
            "--precision=bf16 a step takes many times as long as without"
        )


def own_device(name, local_rank):
    """The GPU of a process: as many as there are processes, one for each."""
    if name is not None and torch.device(name).index not in (None, local_rank):
        raise ValueError(
            f"--device={name} would put every process of torchrun on the same "
            "GPU: leave it out"
        )
    found = torch.cuda.device_count()
    if local_rank >= found:
        raise ValueError(
            f"torchrun started more processes than the {found} GPUs that "
            "PyTorch finds here: lower --nproc_per_node"
        )
    return f"cuda:{local_rank}"


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
    if like.device.type == "meta":  # shapes alone have no precision
        return contextlib.nullcontext()
    return torch.autocast(like.device.type, enabled=False)
