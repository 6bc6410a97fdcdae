"""Equally large clusters by optimal transport (SSRL, section III-B2)."""

import logging
import math

import torch

BLOCK = 2**20  # entries of the kernel worked on at once, for the cache

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

    Only some rows at a time are turned into a kernel, so that besides the
    probabilities and the plan little memory is needed; see
    ``sinkhorn_labels`` where the plan itself is not.

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
    log_v = _log_scaling(probs, sharpness, tol, max_iters)
    plan = [rows.softmax(1) for rows in _scaled(probs, sharpness, log_v)]
    return torch.cat(plan) / len(probs)


@torch.no_grad()
def sinkhorn_labels(probs, sharpness, tol=1e-3, max_iters=200):
    """Most probable cluster of each utterance in the transport plan.

    Arguments
    ---------
    probs, sharpness, tol, max_iters
        As of ``sinkhorn_knopp``, whose plan (N, K) is never made: besides
        ``probs``, in half precision if need be, a few rows are held.

    Returns
    -------
    torch.Tensor
        (N,) labels.

    Raises
    ------
    ValueError
        As ``sinkhorn_knopp``.

    Example
    -------
    >>> probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> sinkhorn_labels(probs, sharpness=100.0)
    tensor([0, 0, 1, 1])
    """
    log_v = _log_scaling(probs, sharpness, tol, max_iters)
    labels = [rows.argmax(1) for rows in _scaled(probs, sharpness, log_v)]
    return torch.cat(labels)


def _scaled(probs, sharpness, log_v):
    """Yields blocks of rows of the kernel's logarithm, columns scaled."""
    for rows in probs.split(max(BLOCK // probs.shape[1], 1)):
        yield rows.to(log_v.dtype).mul(sharpness).add_(log_v)


def _log_scaling(probs, sharpness, tol, max_iters):
    """(K,) logarithm of v of eq. 15; u follows, as rows are normalised."""
    if probs.ndim != 2 or probs.numel() == 0:
        raise ValueError(f"probs must be (N, K), not {tuple(probs.shape)}")
    bad = sum(int((~rows.isfinite()).sum()) for rows in probs.split(4096))
    if bad:
        raise ValueError(f"{bad} probs are not finite")
    if not 0 <= sharpness < math.inf:
        raise ValueError(f"sharpness must not be negative, but is {sharpness}")
    num_rows, num_clusters = probs.shape
    dtype = torch.promote_types(probs.dtype, torch.float)
    log_v = probs.new_zeros(num_clusters, dtype=dtype)
    for _ in range(max_iters):
        # Mass of each cluster, in units of 1/K, once the rows are normalised.
        mass = torch.zeros_like(log_v)
        for rows in _scaled(probs, sharpness, log_v):
            mass += rows.softmax(1).sum(0)
        mass *= num_clusters / num_rows
        deviation = (mass - 1).abs().max()
        if deviation <= tol:
            break
        # A mass too small for a float is raised by what a float can tell.
        log_v -= mass.clamp_min(torch.finfo(dtype).tiny).log()
    else:
        logger.warning(
            "Sinkhorn-Knopp: a cluster is still %.1g of its mass off after "
            "%d iterations; lower the sharpness or raise max_iters.",
            deviation,
            max_iters,
        )
    return log_v
