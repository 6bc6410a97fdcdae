"""A threshold where nobody knows a single speaker: from clusters."""

import numpy as np

from ssrl_brain.data.sampler import random_generator
from ssrl_brain.evaluation.metrics import eer, score_trials


def pairs_of_clusters(labels, num_pairs, seed=0):
    """Pairs of one cluster, and pairs of two.

    Arguments
    ---------
    labels : numpy.ndarray
        (N,) integers.
    num_pairs : int
        Of each kind, before repetitions are removed.
    seed : int

    Returns
    -------
    same, different : numpy.ndarray
        (P, 2) and (Q, 2) rows. Clusters count by their utterances, not by
        their pairs, so that a large one does not decide alone.

    Example
    -------
    >>> same, different = pairs_of_clusters(np.array([4, 4, 9]), 50)
    >>> same.tolist(), different.tolist()
    ([[0, 1]], [[0, 2], [1, 2]])
    """
    labels = np.asarray(labels)
    generator = random_generator("pseudo trials", seed)
    order = np.argsort(labels, kind="stable")
    _, start, sizes = np.unique(
        labels[order], return_index=True, return_counts=True
    )
    first = generator.integers(0, len(labels), num_pairs)  # in the order
    cluster = np.searchsorted(start, first, side="right") - 1
    within = generator.integers(0, sizes[cluster])
    same = order[np.stack([first, start[cluster] + within], axis=1)]
    any_two = generator.integers(0, len(labels), (num_pairs, 2))
    different = any_two[labels[any_two[:, 0]] != labels[any_two[:, 1]]]
    return _distinct(same), _distinct(different)


def _distinct(pairs):
    """Each pair once, none of an utterance with itself."""
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)


def threshold_of_clusters(embeddings, labels, num_pairs=100000, seed=0):
    """Score at which clusters are told apart as often as they are confused.

    Clusters were made of near embeddings, so it lies higher than that between
    speakers; docs/own_data.md says by how much on known corpora.

    Arguments
    ---------
    embeddings : numpy.ndarray
        (N, D)
    labels : numpy.ndarray
        (N,)
    num_pairs : int
        Of each kind.
    seed : int

    Returns
    -------
    float or None
        None where there is only one cluster, or nothing but single
        utterances.

    Example
    -------
    >>> embeddings = np.float32([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    >>> round(threshold_of_clusters(embeddings, np.array([0, 0, 1, 1])), 2)
    0.2
    """
    same, different = pairs_of_clusters(labels, num_pairs, seed)
    if not (len(same) and len(different)):
        return None
    scores = [
        score_trials(embeddings, *pairs.T.copy()) for pairs in (same, different)
    ]
    return eer(*scores)[1]
