"""Which pseudo labels to trust (iterative framework, section 2.2.2)."""

import numpy as np


def purify(clusters, drop_fraction, min_cluster_size):
    """Drops the utterances far from their centroid, then small clusters.

    The confidence of an utterance is its negative squared distance to its
    centroid, and the share dropped is one of the whole corpus: loose clusters
    lose more. Of equally distant utterances the later ones go first.

    Arguments
    ---------
    clusters : ssrl_brain.clustering.kmeans.Clusters
        Its ``labels`` (N,) and ``distances`` (N,) are read.
    drop_fraction : float
        Share of the utterances to drop, p in the paper; at least 0, below 1.
    min_cluster_size : int
        Clusters with fewer utterances left are dropped, S in the paper.

    Returns
    -------
    numpy.ndarray
        (N,) bool, True for utterances to keep; perhaps none.

    Raises
    ------
    ValueError
        ``drop_fraction`` is out of range, or a distance is NaN.

    Example
    -------
    >>> from ssrl_brain.clustering.kmeans import Clusters
    >>> labels = np.array([0, 0, 1, 1, 1])
    >>> clusters = Clusters(labels, None, np.array([0.1, 0.9, 0.1, 0.2, 0.3]))
    >>> purify(clusters, drop_fraction=0.2, min_cluster_size=2)
    array([False, False,  True,  True,  True])
    """
    if not 0 <= drop_fraction < 1:
        raise ValueError(
            f"drop_fraction must be at least 0 and below 1, not {drop_fraction}"
        )
    labels, distances = clusters.labels, clusters.distances
    if np.isnan(distances).any():
        raise ValueError(f"{np.isnan(distances).sum()} distances are NaN")
    num_kept = len(labels) - round(drop_fraction * len(labels))
    keep = np.zeros(len(labels), dtype=bool)
    keep[np.argsort(distances, kind="stable")[:num_kept]] = True
    size = np.bincount(labels[keep], minlength=labels.max(initial=-1) + 1)
    return keep & (size[labels] >= min_cluster_size)
