"""How many clusters a corpus asks for, from its embeddings alone.

The silhouette (Rousseeuw 1987) compares how far an utterance is from its own
cluster and from the next one. Its mean is low where clusters hold several
speakers, low again where speakers are split, and highest in between. Measured
in whitened space: otherwise what is largest (sex, channel, language) decides,
and two clusters are the best.

Speakers of one or two utterances make no cluster that could be seen. What is
found is closer to the effective number of speakers, one over the sum of their
squared shares, than to the number of their names.
"""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ssrl_brain.clustering.kmeans import kmeans, usable
from ssrl_brain.data.sampler import random_generator


class Suggestion(NamedTuple):
    """A number of clusters and what it was chosen from.

    ``speakers``, where the silhouette was highest; ``tried``, pairs (number
    of clusters, mean silhouette) in ascending order.
    """

    num_clusters: int
    speakers: int
    tried: list


def silhouette(embeddings, labels):
    """Mean silhouette with cosine distances, exactly, without any pair.

    Between vectors of length 1 the mean distance to a cluster is one minus
    the product with its mean, so N times K products do.

    Arguments
    ---------
    embeddings : numpy.ndarray
        (N, D), none of them zero.
    labels : numpy.ndarray
        (N,) integers.

    Returns
    -------
    float
        Between -1 and 1; an utterance alone in its cluster counts as 0. NaN
        with fewer than two clusters.

    Example
    -------
    >>> embeddings = np.float32([[1, 0], [1, 0], [0, 1], [0, 2]])
    >>> silhouette(embeddings, np.array([0, 0, 1, 1]))
    1.0
    >>> silhouette(embeddings, np.array([0, 1, 0, 1]))
    -0.5
    """
    embeddings = usable(embeddings, spherical=True)
    clusters, labels, sizes = np.unique(
        labels, return_inverse=True, return_counts=True
    )
    if len(clusters) < 2:
        return np.nan
    sums = np.zeros((len(clusters), embeddings.shape[1]), np.float32)
    np.add.at(sums, labels, embeddings)
    total = 0.0
    for rows in np.array_split(np.arange(len(labels)), len(labels) // 4096 + 1):
        total += _silhouettes(embeddings[rows], labels[rows], sums, sizes).sum()
    return float(total / len(labels))


def _silhouettes(embeddings, labels, sums, sizes):
    """Silhouettes (n,) of some of the utterances."""
    products = embeddings @ sums.T  # (n, K)
    own = np.arange(len(labels)), labels
    others = sizes[labels] - 1
    # the product with itself is 1
    within = 1 - (products[own] - 1) / np.maximum(others, 1)
    distances = 1 - products / sizes
    distances[own] = np.inf
    nearest = distances.min(1)
    larger = np.maximum(np.maximum(within, nearest), 1e-12)
    return np.where(others > 0, (nearest - within) / larger, 0.0)


def candidates(num_rows, ratio=1.25, smallest=2):
    """Numbers of clusters to try: up to half of the rows, evenly in ratio.

    Example
    -------
    >>> candidates(40, ratio=1.5)
    [2, 3, 4, 6, 9, 14, 20]
    """
    largest = max(num_rows // 2, smallest)
    steps = round(np.log(largest / smallest) / np.log(ratio)) + 1
    values = np.geomspace(smallest, largest, max(steps, 1))
    return sorted({int(round(value)) for value in values})


def whitened(embeddings, shrink=1.0):
    """Embeddings of length 1, centred, all directions equally wide.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D), none of them zero.
    shrink : float
        Times the mean variance, added to all: directions that hardly vary
        are not made as wide as the others, which matters with few rows.

    Returns
    -------
    numpy.ndarray
        (N, D) float32

    Example
    -------
    >>> generator = np.random.default_rng(0)
    >>> points = generator.standard_normal((999, 3)) * [9, 2, 1]
    >>> whitened(points, shrink=0).var(axis=0).round(2)
    array([1., 1., 1.], dtype=float32)
    """
    embeddings = usable(embeddings, spherical=True)
    centred = embeddings - embeddings.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(centred.T))
    variances = variances.clip(0) + shrink * variances.mean() + 1e-12
    return np.float32(centred @ directions / np.sqrt(variances))


def suggest_num_clusters(
    embeddings,
    margin=1.33,
    ratio=1.25,
    patience=3,
    max_rows=30000,
    num_iters=20,
    seed=1986,
    progress=None,
):
    """A number of clusters somewhat above where the silhouette is highest.

    Arguments
    ---------
    embeddings : numpy.ndarray or torch.Tensor
        (N, D) one row per utterance, or per session.
    margin : float
        What it is above, as SSRL has 8,000 clusters for 5,994 speakers:
        training merges clusters more easily than it splits them.
    ratio : float
        Between two numbers that are tried.
    patience : int
        Numbers in a row, with less than half of the highest silhouette, that
        end the search. Less would end it at a low peak of a few clusters.
    max_rows : int
        Of a larger corpus, so many rows are drawn.
    num_iters : int
        Of each k-means.
    seed : int
    progress : str, optional
        Title of a progress bar.

    Returns
    -------
    Suggestion

    Raises
    ------
    ValueError
        With fewer than four rows.

    Example
    -------
    >>> generator = np.random.default_rng(0)
    >>> speakers = generator.standard_normal((20, 64)).repeat(10, axis=0)
    >>> noise = 0.5 * generator.standard_normal((200, 64))
    >>> suggest_num_clusters(speakers + noise).speakers
    22
    """
    num_rows = len(embeddings)
    if num_rows < 4:
        raise ValueError(
            f"{num_rows} utterances are too few to suggest a number of "
            "clusters: give --num_clusters"
        )
    if num_rows > max_rows:
        order = random_generator("suggest", seed).permutation(num_rows)
        embeddings = np.asarray(embeddings)[np.sort(order[:max_rows])]
    points = whitened(embeddings)
    tried = []
    numbers = candidates(len(points), ratio)
    for number in tqdm(numbers, desc=progress, disable=progress is None):
        labels = kmeans(points, number, num_iters, seed=seed).labels
        tried.append((number, silhouette(points, labels)))
        values = [value for _, value in tried]
        if max(values[-patience:]) < max(values) / 2:
            break
    speakers = highest(tried)
    wanted = min(round(margin * speakers), num_rows // 2)
    return Suggestion(max(wanted, 2), speakers, tried)


def highest(tried):
    """Where the silhouette, smoothed over its neighbours, is highest.

    Example
    -------
    >>> highest([(8, 0.1), (10, 0.3), (12, 0.2), (16, 0.1)])
    10
    """
    numbers, values = np.array(tried, dtype=float).T
    padded = np.concatenate([values[:1], values, values[-1:]])
    smooth = np.convolve(padded, [0.25, 0.5, 0.25], mode="valid")
    return int(numbers[smooth.argmax()])


class SuggestedClusters:
    """Clusters of a suggested number, where "auto" stands for the number.

    Arguments
    ---------
    cluster : functools.partial
        Clusters embeddings into its ``num_clusters``, as ``kmeans`` does.
    suggest : callable
        From embeddings to a ``Suggestion``.

    Example
    -------
    >>> import functools
    >>> cluster = functools.partial(kmeans, num_clusters="auto")
    >>> chosen = SuggestedClusters(cluster, suggest_num_clusters)
    >>> clusters = chosen(np.eye(8).repeat(9, axis=0))
    >>> len(clusters.centroids) == chosen.suggestion.num_clusters
    True
    """

    def __init__(self, cluster, suggest):
        self.cluster = cluster
        self.suggest = suggest
        self.suggestion = None

    def __call__(self, embeddings):
        """Embeddings (N, D) -> Clusters"""
        self.suggestion = self.suggest(embeddings)
        return self.cluster(
            embeddings, num_clusters=self.suggestion.num_clusters
        )
