"""The few collective operations of training, no-ops on a single process."""

import itertools
import os
import sys
import threading
import time

import torch
import torch.distributed as dist
from speechbrain.utils.distributed import ddp_init_group

FAILED = "ssrl_brain/failed"  # key of what the ranks tell each other
POLL_SECONDS = 0.5
TURNS = itertools.count()  # of the first rank alone


def join_group(run_options):
    """Meets the other ranks that torchrun started, once per process.

    From then on a rank that fails ends all of them, see ``end_all_ranks``:
    those that wait for it in a collective operation would do so for hours.

    Arguments
    ---------
    run_options : speechbrain RunOptions
    """
    if dist.is_initialized():  # a chain runs several scripts in one
        return
    ddp_init_group(run_options)
    if num_ranks() > 1:
        store = dist.distributed_c10d._get_default_store().clone()
        threading.Thread(target=_watch, args=[store], daemon=True).start()


def end_all_ranks(message):
    """Ends the other ranks, which print why; a no-op on a single process.

    Arguments
    ---------
    message : str
    """
    if num_ranks() == 1:
        return
    try:
        store = dist.distributed_c10d._get_default_store()
        store.compare_set(FAILED, "", f"{rank()} {message}")
    except RuntimeError:  # the store is gone with the rank that kept it
        return
    time.sleep(3 * POLL_SECONDS)  # the others read it meanwhile


def _watch(store):
    """Ends this process when another rank has failed."""
    while True:
        time.sleep(POLL_SECONDS)
        try:
            if not store.check([FAILED]):
                continue
            number, _, message = store.get(FAILED).decode().partition(" ")
        except RuntimeError:  # all is over
            return
        if int(number) != rank():
            print(f"error: rank {number}: {message}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)


def num_ranks():
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """Number of this process among them."""
    return dist.get_rank() if dist.is_initialized() else 0


def on_first_rank(function):
    """Calls a function on the first rank only; the others wait for its end.

    As long as it takes, hours of clustering for instance: a collective
    operation ends them after a while, so they ask the store instead.

    Arguments
    ---------
    function : callable
        Without arguments. Must not need the other ranks.

    Returns
    -------
    object
        What it returns; None on the other ranks.

    Example
    -------
    >>> on_first_rank(lambda: 7)
    7
    """
    if num_ranks() == 1:
        return function()
    store = dist.distributed_c10d._get_default_store()
    key = f"ssrl_brain/turn/{next(TURNS)}"  # equal on all ranks
    result = None
    if rank() == 0:
        result = function()
        store.set(key, "over")
    while not store.check([key]):
        time.sleep(POLL_SECONDS)
    return result


@torch.no_grad()
def mean_over_ranks(tensor):
    """Average of a tensor over all ranks.

    Example
    -------
    >>> mean_over_ranks(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if num_ranks() == 1:
        return tensor
    tensor = tensor.clone()
    dist.all_reduce(tensor)
    return tensor / num_ranks()


@torch.no_grad()
def from_first_rank(tensor):
    """The first rank's tensor, on every rank; the others' are overwritten.

    Example
    -------
    >>> from_first_rank(torch.tensor([1, 2]))
    tensor([1, 2])
    """
    if num_ranks() > 1:
        dist.broadcast(tensor, src=0)
    return tensor


def first_rank_says(answer, device):
    """The first rank's answer, on every rank; a GPU is asked only of several.

    Arguments
    ---------
    answer : bool
    device : str or torch.device

    Example
    -------
    >>> first_rank_says(True, "cpu")
    True
    """
    if num_ranks() == 1:
        return answer
    return bool(from_first_rank(torch.tensor(answer, device=device)))


@torch.no_grad()
def share_buffers(module):
    """Gives the first rank's BatchNorm statistics to all ranks.

    Example
    -------
    >>> share_buffers(torch.nn.BatchNorm1d(3))
    """
    buffers = [x for x in module.buffers() if x.is_floating_point()]
    if num_ranks() == 1 or not buffers:
        return
    values = from_first_rank(torch.cat([x.flatten() for x in buffers]))
    for buffer, part in zip(
        buffers, values.split([x.numel() for x in buffers]), strict=True
    ):
        buffer.copy_(part.view_as(buffer))


@torch.no_grad()
def gather_rows(index, *values):
    """Per-utterance results of all ranks, sorted by utterance.

    Every rank gets the same rows in the same order, so that the memories of
    all ranks stay equal. Ranks must hold equally many rows. An utterance that
    stands in several rows has its first result in all of them; which to drop
    a GPU would have to be waited for, see ``distinct_rows``.

    Arguments
    ---------
    index : torch.Tensor
        (B,) rows of the utterance table.
    *values : torch.Tensor
        (B, ...) results of these utterances.

    Returns
    -------
    tuple of torch.Tensor
        Sorted index (M,), then the values (M, ...).

    Example
    -------
    >>> gather_rows(torch.tensor([5, 2, 5]), torch.tensor([0.1, 0.2, 0.3]))
    (tensor([2, 5, 5]), tensor([0.2000, 0.1000, 0.1000]))
    """
    if num_ranks() > 1:
        index, *values = (_concatenate(x) for x in (index, *values))
    order = index.argsort(stable=True)
    position = torch.arange(len(index), device=index.device)
    position = position.masked_fill(~_is_first(index[order]), 0)
    chosen = order[position.cummax(0).values] if len(index) else order
    return (index[chosen], *(value[chosen] for value in values))


def distinct_rows(index, *values):
    """What ``gather_rows`` returns, each utterance once.

    Example
    -------
    >>> distinct_rows(torch.tensor([2, 5, 5]), torch.tensor([0.2, 0.1, 0.1]))
    (tensor([2, 5]), tensor([0.2000, 0.1000]))
    """
    first = _is_first(index)
    return (index[first], *(value[first] for value in values))


def _is_first(ordered):
    """Which rows of a sorted index differ from the row before."""
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return first


def _concatenate(tensor):
    parts = [torch.empty_like(tensor) for _ in range(num_ranks())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
