"""Adaptive symmetric score normalisation with a cohort that needs no speaker.

The cohort is a mean embedding per pseudo label, so that it comes from the
same unlabelled speech as the encoder.
"""

import numpy as np
import torch


def cohort_means(embeddings, labels, keep):
    """Mean direction of the utterances that each pseudo label keeps.

    Arguments
    ---------
    embeddings : numpy.ndarray
        (N, D)
    labels : numpy.ndarray
        (N,) integers.
    keep : numpy.ndarray
        (N,) bool; labels without any such utterance make no member.

    Returns
    -------
    torch.Tensor
        (K, D) of unit length.

    Example
    -------
    >>> embeddings = np.array([[2.0, 0.0], [5.0, 0.0], [0.0, 1.0]])
    >>> cohort_means(embeddings, np.array([4, 4, 7]), np.ones(3, bool))
    tensor([[1., 0.],
            [0., 1.]])
    """
    embeddings = torch.as_tensor(embeddings[keep]).float()
    unit = torch.nn.functional.normalize(embeddings, dim=1)
    numbers = np.unique(labels[keep], return_inverse=True)[1]
    means = torch.zeros(numbers.max() + 1, unit.shape[1])
    means.index_add_(0, torch.as_tensor(numbers), unit)
    return torch.nn.functional.normalize(means, dim=1)


def cohort_statistics(embeddings, rows, cohort, top, chunk_size=8192):
    """Mean and deviation of the highest scores against a cohort.

    Once per utterance and not per trial; the memory is that of one chunk.

    Arguments
    ---------
    embeddings : torch.Tensor
        (N, D)
    rows : array_like
        (n,) which of them.
    cohort : torch.Tensor
        (K, D) of unit length.
    top : int
        Cohort members that count, the nearest ones; all K if K is fewer.
    chunk_size : int
        Utterances at once.

    Returns
    -------
    torch.Tensor
        (n, 2) float32.

    Raises
    ------
    ValueError
        If fewer than two members count, or their scores are all alike.

    Example
    -------
    >>> cohort = torch.eye(3)[:2]
    >>> cohort_statistics(torch.eye(3), [0], cohort, top=2)
    tensor([[0.5000, 0.5000]])
    """
    top = min(top, len(cohort))
    if top < 2:
        raise ValueError(
            f"score normalisation needs two cohort members, not {top}: raise "
            "--cohort_top, or give a --cohort_folder with more labels"
        )
    parts = []
    for chunk in torch.as_tensor(rows).long().split(chunk_size):
        unit = torch.nn.functional.normalize(embeddings[chunk].float(), dim=1)
        nearest = (unit @ cohort.T).topk(top, dim=1).values
        mean = nearest.mean(1)
        parts.append(torch.stack([mean, nearest.std(1, correction=0)], dim=1))
    statistics = torch.cat(parts)
    if not (statistics[:, 1] > 0).all():
        raise ValueError(
            "an utterance scores the same against the whole cohort: give "
            "another --cohort_folder"
        )
    return statistics


def adaptive_s_norm(scores, enrol, test):
    """Mean of a score as seen from either side.

    Arguments
    ---------
    scores : torch.Tensor
        (M,)
    enrol, test : torch.Tensor
        (M, 2) see ``cohort_statistics``.

    Returns
    -------
    torch.Tensor
        (M,)

    Example
    -------
    >>> enrol, test = torch.tensor([[0.2, 0.1]]), torch.tensor([[0.4, 0.2]])
    >>> adaptive_s_norm(torch.tensor([0.6]), enrol, test)
    tensor([2.5000])
    """
    return sum((scores - s[:, 0]) / s[:, 1] for s in (enrol, test)) / 2
