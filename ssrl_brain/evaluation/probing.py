"""DINO's outputs read as speaker labels (DINO study, 5.5)."""

import numpy as np

from ssrl_brain.evaluation.label_metrics import nmi


def top_two(logits, center):
    """The two likeliest prototypes; no temperature changes them.

    Arguments
    ---------
    logits : torch.Tensor
        (B, K) of the teacher.
    center : torch.Tensor
        (K,)

    Returns
    -------
    torch.Tensor
        (B, 2) the likeliest first.

    Example
    -------
    >>> import torch
    >>> top_two(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([0.0, 0.0, 9.0]))
    tensor([[1, 0]])
    """
    return (logits.float() - center).topk(2, dim=-1).indices


def probe(top, speakers):
    """How well prototypes tell true speakers apart.

    Arguments
    ---------
    top : array_like
        (N, 2) the two likeliest prototypes of each utterance.
    speakers : array_like
        (N,) true speakers.

    Returns
    -------
    dict
        With the likeliest prototype as the label ``probe_nmi`` and
        ``probe_labels``, the number of distinct labels; with the pair of the
        two, whichever is first, ``probe_nmi_pair`` and ``probe_pairs``.

    Example
    -------
    >>> top = [[3, 5], [5, 3], [9, 1], [9, 1]]
    >>> probe(top, ["ann", "ann", "bob", "bob"])["probe_nmi_pair"]
    1.0
    """
    top = np.asarray(top).astype(np.int64)
    low, high = np.sort(top, axis=1).T
    pairs = low * (top.max() + 1) + high
    return {
        "probe_nmi": nmi(top[:, 0], speakers),
        "probe_labels": len(np.unique(top[:, 0])),
        "probe_nmi_pair": nmi(pairs, speakers),
        "probe_pairs": len(np.unique(pairs)),
    }
