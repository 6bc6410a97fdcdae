"""K-means over a whole corpus, by faiss (iterative framework, section 2.2).

Labels, distances and centroids are numpy arrays: they go to plain files.
"""

from typing import NamedTuple

import faiss
import numpy as np
import torch

from ssrl_brain.system.distributed import num_ranks


class Clusters(NamedTuple):
    """A clustering of N utterances into K clusters, some perhaps empty."""

    labels: np.ndarray  # (N,) int64, the nearest centroid
    centroids: np.ndarray  # (K, D) float32
    distances: np.ndarray  # (N,) float32, squared, to the own centroid


def kmeans(
    embeddings,
    num_clusters,
    num_iters=25,
    spherical=True,
    seed=1986,
    num_restarts=1,
    use_gpu=None,
):
    """Clusters embeddings; the same seed gives the same clusters.

    Every utterance takes part: the sub-sampling that faiss does by default is
    off. A centroid may end without utterances.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D) one row per utterance.
    num_clusters : int
        K, at most N.
    num_iters : int
        Iterations of each start.
    spherical : bool
        Whether embeddings and centroids are scaled to length 1, as fits a
        model trained with cosines. Distances are then 2 - 2 cosine.
    seed : int
        Chooses the utterances that are the first centroids.
    num_restarts : int
        Number of starts; the best is kept.
    use_gpu : bool or None
        None: when faiss finds one.

    Returns
    -------
    Clusters
        Labels and distances belong to the centroids that are returned.

    Raises
    ------
    ValueError
        More clusters than utterances, no cluster, embeddings that are not
        finite or (spherical) zero, or a GPU that is not there.

    Example
    -------
    >>> embeddings = np.float32([[2, 0], [0, 1], [5, 0], [0, 3]])
    >>> clusters = kmeans(embeddings, num_clusters=2, use_gpu=False)
    >>> clusters.labels[0] == clusters.labels[2] != clusters.labels[1]
    np.True_
    >>> clusters.distances
    array([0., 0., 0., 0.], dtype=float32)
    """
    embeddings = _as_float32(embeddings)
    num_rows, dim = embeddings.shape
    if num_clusters < 1:
        raise ValueError(f"num_clusters must be at least 1, not {num_clusters}")
    if num_clusters > num_rows:
        raise ValueError(
            f"num_clusters ({num_clusters}) is larger than the number of "
            f"utterances ({num_rows}): lower --num_clusters"
        )
    num_gpus = faiss.get_num_gpus()
    if use_gpu and not num_gpus:
        raise ValueError("use_gpu is set but faiss finds no GPU")
    embeddings = usable(embeddings, spherical)

    algorithm = faiss.Kmeans(
        dim,
        num_clusters,
        niter=num_iters,
        nredo=num_restarts,
        seed=seed,
        spherical=spherical,
        gpu=0 if use_gpu is False else gpus_for_faiss(num_gpus),
        # neither sub-sample nor warn
        max_points_per_centroid=-(-num_rows // num_clusters),
        min_points_per_centroid=1,
        # minutes of work: faiss then prints every iteration with its time
        verbose=num_rows * num_clusters > 10**9,
    )
    algorithm.train(embeddings)
    _, labels = algorithm.assign(embeddings)
    distances = squared_distances(embeddings, algorithm.centroids, labels)
    return Clusters(labels, algorithm.centroids, distances)


def gpus_for_faiss(num_gpus):
    """How many GPUs faiss may use, with room made beside torch.

    Torch keeps freed memory, which faiss then lacks. Of several ranks each
    has a GPU that only it can make room on, so the first uses its own alone.
    """
    if not num_gpus:
        return 0
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return 1 if num_ranks() > 1 else num_gpus


def session_means(embeddings, session):
    """Mean embedding of each session.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D) one row per utterance.
    session : numpy.ndarray
        (N,) number of the session that each utterance belongs to.

    Returns
    -------
    means : numpy.ndarray
        (S, D) float32, sessions in the order of their numbers.
    session_row : numpy.ndarray
        (N,) row of ``means`` that belongs to each utterance.

    Raises
    ------
    ValueError
        As many sessions as embeddings are needed.

    Example
    -------
    >>> session_means(np.float32([[1], [3], [7]]), np.array([8, 8, 5]))
    (array([[7.],
           [2.]], dtype=float32), array([1, 1, 0]))
    """
    embeddings = _as_float32(embeddings)
    if np.shape(session) != (len(embeddings),):
        raise ValueError(
            f"{len(embeddings)} embeddings but sessions of shape "
            f"{np.shape(session)}"
        )
    _, session_row, size = np.unique(
        np.asarray(session), return_inverse=True, return_counts=True
    )
    means = torch.zeros(len(size), embeddings.shape[1])
    means.index_add_(
        0, torch.from_numpy(session_row), torch.from_numpy(embeddings)
    )
    return means.numpy() / size[:, None].astype(np.float32), session_row


def cluster_sessions(embeddings, session, cluster, spherical=True):
    """Clusters the means of sessions; utterances take the label of theirs.

    Used where the utterances of one recording are known to share a speaker
    (iterative framework, section 3.3.2). With ``spherical``, embeddings have
    length 1 before the mean is taken too.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D) one row per utterance.
    session : numpy.ndarray
        (N,) number of the session that each utterance belongs to.
    cluster : callable
        From the means (S, D) to their ``Clusters``.
    spherical : bool
        As for the clustering, see ``kmeans``.

    Returns
    -------
    Clusters
        One label per utterance; distances are those of the utterances, not
        of their sessions. An utterance may lie nearer to another centroid.

    Raises
    ------
    ValueError
        As for ``cluster``, or a number of sessions that does not fit.

    Example
    -------
    >>> embeddings = np.float32([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> clusters = cluster_sessions(
    ...     embeddings, [0, 0, 1, 1], lambda means: kmeans(means, 2)
    ... )
    >>> clusters.labels[0] == clusters.labels[1] != clusters.labels[2]
    np.True_
    """
    embeddings = usable(embeddings, spherical)
    means, session_row = session_means(embeddings, session)
    of_sessions = cluster(means)
    labels = of_sessions.labels[session_row]
    centroids = of_sessions.centroids
    distances = squared_distances(embeddings, centroids, labels)
    return Clusters(labels, centroids, distances)


def clusters_of_labels(embeddings, labels):
    """Labels that are there already, as spherical clusters.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D)
    labels : numpy.ndarray
        (N,) integers from 0; none may be left out, or its centroid is 0.

    Returns
    -------
    Clusters
        Centroids are the means of their utterances, of length 1.

    Example
    -------
    >>> embeddings = np.float32([[2, 0], [0, 1], [0, 4]])
    >>> clusters_of_labels(embeddings, np.array([1, 0, 0])).centroids
    array([[0., 1.],
           [1., 0.]], dtype=float32)
    """
    embeddings = usable(embeddings, spherical=True)
    sums = np.zeros((labels.max() + 1, embeddings.shape[1]), np.float32)
    np.add.at(sums, labels, embeddings)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    centroids = sums / np.maximum(lengths, 1e-12)
    distances = squared_distances(embeddings, centroids, labels)
    return Clusters(labels, centroids, distances)


def _as_float32(embeddings):
    """A contiguous (N, D) array, copied only where it must be."""
    if isinstance(embeddings, torch.Tensor):
        embeddings = embeddings.detach().float().cpu().numpy()
    embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings must be (N, D), not {embeddings.shape}")
    return embeddings


def usable(embeddings, spherical):
    """Embeddings (N, D) to cluster, float32; of length 1 if ``spherical``."""
    embeddings = _as_float32(embeddings)
    squared = np.einsum("nd,nd->n", embeddings, embeddings)  # (N,)
    bad = ~np.isfinite(squared)
    if bad.any():
        raise ValueError(
            f"{bad.sum()} of {len(embeddings)} embeddings are not finite"
        )
    if not spherical:
        return embeddings
    zero = squared == 0
    if zero.any():
        raise ValueError(
            f"{zero.sum()} of {len(embeddings)} embeddings are zero and have "
            "no direction"
        )
    return embeddings / np.sqrt(squared)[:, None]


def squared_distances(embeddings, centroids, labels, chunk_size=8192):
    """(N,) to the own centroid; in chunks, not to copy all embeddings."""
    distances = np.empty(len(embeddings), dtype=np.float32)
    for start in range(0, len(embeddings), chunk_size):
        rows = slice(start, start + chunk_size)
        offset = embeddings[rows] - centroids[labels[rows]]
        distances[rows] = np.einsum("nd,nd->n", offset, offset)
    return distances
