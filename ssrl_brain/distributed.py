"""The few collective operations of training, no-ops on a single process."""

import torch
import torch.distributed as dist
from speechbrain.utils.distributed import ddp_init_group


def join_group(run_options):
    """Meets the other ranks that torchrun started, once per process.

    Arguments
    ---------
    run_options : speechbrain RunOptions
    """
    if not dist.is_initialized():  # a chain runs several scripts in one
        ddp_init_group(run_options)


def num_ranks():
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """Number of this process among them."""
    return dist.get_rank() if dist.is_initialized() else 0


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
def gather_rows(index, *values):
    """Per-utterance results of all ranks, each utterance once.

    Every rank gets the same rows in the same order, so that the memories of
    all ranks stay equal. Ranks must hold equally many rows.

    Arguments
    ---------
    index : torch.Tensor
        (B,) rows of the utterance table.
    *values : torch.Tensor
        (B, ...) results of these utterances.

    Returns
    -------
    tuple of torch.Tensor
        Distinct sorted index (M,), then the values (M, ...).

    Example
    -------
    >>> gather_rows(torch.tensor([5, 2, 5]), torch.tensor([0.1, 0.2, 0.1]))
    (tensor([2, 5]), tensor([0.2000, 0.1000]))
    """
    if num_ranks() > 1:
        index, *values = (_concatenate(x) for x in (index, *values))
    order = index.argsort(stable=True)
    ordered = index[order]
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    chosen = order[first]
    return (index[chosen], *(value[chosen] for value in values))


def _concatenate(tensor):
    parts = [torch.empty_like(tensor) for _ in range(num_ranks())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
