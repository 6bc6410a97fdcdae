"""What the optimizer is told about the parameters."""


def decay_groups(parameters):
    """Parameter groups in which biases and norms have no weight decay.

    As in the original DINO: all that has one dimension is spared.

    Arguments
    ---------
    parameters : list of torch.nn.Parameter

    Returns
    -------
    list of dict
        Two groups for an optimizer of torch, the second without decay.

    Example
    -------
    >>> import torch
    >>> groups = decay_groups(list(torch.nn.Linear(2, 3).parameters()))
    >>> [[tuple(p.shape) for p in group["params"]] for group in groups]
    [[(3, 2)], [(3,)]]
    """
    return [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
