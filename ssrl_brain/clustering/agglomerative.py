"""Agglomerative clustering of a whole corpus, on centroids of k-means.

As the strongest systems without labels cluster (DLG-LC, table X): k-means
into many small clusters, which are then merged.
"""

import numpy as np
import sklearn.cluster

from ssrl_brain.clustering.kmeans import (
    Clusters,
    kmeans,
    session_means,
    squared_distances,
    usable,
)


def agglomerative(
    embeddings,
    num_clusters,
    num_small_clusters=25000,
    linkage="ward",
    spherical=True,
    **kmeans_options,
):
    """Merges the clusters of k-means, the two closest first.

    Every small cluster counts once, whatever its size. Memory grows with the
    square of their number: 2.5 GB for 25,000.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D) one row per utterance.
    num_clusters : int
        K, to be left at the end.
    num_small_clusters : int
        Made by k-means; at least ``num_clusters``. More than N are not made.
    linkage : str
        Of scikit-learn's ``AgglomerativeClustering``, with Euclidean
        distances: between unit vectors these order as cosines do. "ward"
        merges what increases the variance least, "average" the pair of
        smallest mean distance.
    spherical : bool
        See ``ssrl_brain.clustering.kmeans.kmeans``.
    **kmeans_options
        Further arguments of ``kmeans``.

    Returns
    -------
    Clusters
        Centroids are the means of the merged clusters, of length 1 if
        ``spherical``; no cluster is empty. An utterance may lie nearer to
        another centroid.

    Raises
    ------
    ValueError
        As for ``kmeans``, or fewer small clusters than clusters.

    Example
    -------
    >>> embeddings = np.float32([[0], [1], [10], [12], [50], [51]])
    >>> clusters = agglomerative(
    ...     embeddings, 2, num_small_clusters=4, spherical=False, use_gpu=False
    ... )
    >>> sorted(clusters.centroids.ravel().tolist())
    [5.75, 50.5]
    """
    num_small_clusters = min(num_small_clusters, len(embeddings))
    small = kmeans(
        embeddings, num_small_clusters, spherical=spherical, **kmeans_options
    )
    alive, small_labels = np.unique(small.labels, return_inverse=True)
    if num_clusters > len(alive):
        raise ValueError(
            f"num_clusters ({num_clusters}) is larger than the number of small "
            f"clusters ({len(alive)}): raise num_small_clusters"
        )
    merged = sklearn.cluster.AgglomerativeClustering(
        num_clusters, linkage=linkage
    ).fit_predict(small.centroids[alive])
    labels = merged[small_labels].astype(np.int64)
    embeddings = usable(embeddings, spherical)
    centroids, _ = session_means(embeddings, labels)
    if spherical:
        centroids = usable(centroids, spherical)
    distances = squared_distances(embeddings, centroids, labels)
    return Clusters(labels, centroids, distances)
