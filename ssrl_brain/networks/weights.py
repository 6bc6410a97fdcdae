"""Whether weights are numbers at all."""

import torch


def nonfinite(state):
    """What is wrong with weights of which one is NaN or infinite, else None.

    Arguments
    ---------
    state : dict
        Tensors by name; what is no tensor is passed over.

    Returns
    -------
    str or None

    Example
    -------
    >>> nonfinite({"a": torch.ones(2), "b": torch.tensor([1, torch.nan])})
    'b holds NaN or infinity'
    >>> nonfinite({"a": torch.ones(2), "steps": torch.tensor(3), "c": None})
    """
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and not value.isfinite().all():
            return f"{name} holds NaN or infinity"
    return None
