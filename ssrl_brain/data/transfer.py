"""Batches on their way to the training device."""

import torch


def move(batch, device):
    """A batch of tensors, named tuples and Nones on another device."""
    if batch is None:
        return None
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    moved = [move(item, device) for item in batch]
    return type(batch)(*moved) if hasattr(batch, "_fields") else tuple(moved)


def tensors(batch):
    """All tensors of a batch.

    Example
    -------
    >>> len(list(tensors((torch.ones(1), (None, torch.ones(2))))))
    2
    """
    if isinstance(batch, torch.Tensor):
        yield batch
    elif batch is not None:
        for item in batch:
            yield from tensors(item)


class ToDevice:
    """Copies batches to a device, on a GPU beside what it still computes.

    The host is ahead of a GPU by a step: the copy goes through a stream of
    its own, and only what is computed later waits for it. Batches should come
    from pinned memory.

    Arguments
    ---------
    device : str or torch.device

    Example
    -------
    >>> ToDevice("cpu")((torch.tensor([1]), None))
    (tensor([1]), None)
    """

    def __init__(self, device):
        self.device = torch.device(device)
        self.stream = None
        if self.device.type == "cuda":
            self.stream = torch.cuda.Stream(self.device)

    def __call__(self, batch):
        if self.stream is None:
            return move(batch, self.device)
        with torch.cuda.stream(self.stream):
            batch = move(batch, self.device)
        here = torch.cuda.current_stream(self.device)
        here.wait_stream(self.stream)
        for tensor in tensors(batch):
            tensor.record_stream(here)  # or its memory could be given away
        return batch
