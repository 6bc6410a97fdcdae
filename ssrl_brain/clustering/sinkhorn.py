"""Equally large clusters by optimal transport (SSRL, section III-B2)."""

import logging
import math

import torch

logger = logging.getLogger(__name__)


@torch.no_grad()
def sinkhorn_knopp(probs, sharpness, tol=1e-3, max_iters=200):
    """Transport plan between utterances and clusters (SSRL, eq. 15 and 16).

    The plan is diag(u) exp(lambda P) diag(v) with P = probs / N: the kernel
    holds the probabilities themselves, not their logarithm. Since 1/N would
    make lambda depend on the number of utterances, ``sharpness`` multiplies
    the probabilities: lambda = sharpness * N. It is the inverse of the
    entropic regularisation when the cost is -probs.

    Computed with logarithms, so that no sharpness overflows, and at least in
    float32. A large sharpness needs many iterations; where ``max_iters`` ends
    them, a warning tells how far off the clusters are.

    Arguments
    ---------
    probs : torch.Tensor
        (N, K) teacher's probabilities, of several batches so that N > K.
    sharpness : float
        0 gives a uniform plan; the larger, the closer to a hard assignment.
    tol : float
        Largest deviation of the mass of a cluster from 1/K, relative to 1/K.
    max_iters : int
        Limit on the iterations.

    Returns
    -------
    torch.Tensor
        (N, K) the transposed plan Q: rows sum to 1/N, columns to 1/K within
        ``tol``. The label of an utterance is the arg max of its row.

    Raises
    ------
    ValueError
        An empty or non-finite matrix, or a negative sharpness.

    Example
    -------
    >>> probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> sinkhorn_knopp(probs, sharpness=100.0).argmax(1)
    tensor([0, 0, 1, 1])
    """
    if probs.ndim != 2 or probs.numel() == 0:
        raise ValueError(f"probs must be (N, K), not {tuple(probs.shape)}")
    if not probs.isfinite().all():
        raise ValueError(f"{(~probs.isfinite()).sum()} probs are not finite")
    if not 0 <= sharpness < math.inf:
        raise ValueError(f"sharpness must not be negative, but is {sharpness}")
    log_row_mass, log_column_mass = (-math.log(size) for size in probs.shape)
    kernel = sharpness * probs.to(torch.promote_types(probs.dtype, torch.float))
    log_v = kernel.new_zeros(kernel.shape[1])
    for _ in range(max_iters):
        log_u = log_row_mass - (kernel + log_v).logsumexp(1)  # (N,)
        column = (kernel + log_u[:, None]).logsumexp(0)  # (K,)
        wanted = log_column_mass - column  # what log_v should be
        deviation = (log_v - wanted).expm1().abs().max()
        if deviation <= tol:
            break
        log_v = wanted
    else:
        logger.warning(
            "Sinkhorn-Knopp: a cluster is still %.1g of its mass off after "
            "%d iterations; lower the sharpness or raise max_iters.",
            deviation,
            max_iters,
        )
        log_u = log_row_mass - (kernel + log_v).logsumexp(1)
    return (kernel + log_u[:, None] + log_v).exp()
