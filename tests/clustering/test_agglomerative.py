"""Merging of k-means clusters, where the result is known."""

import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from ssrl_brain.clustering.agglomerative import agglomerative
from ssrl_brain.evaluation.label_metrics import nmi

OPTIONS = {"use_gpu": False}


def rings(seed=0):
    """Five directions, each made of four nearby ones of five utterances."""
    generator = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(5), 20)
    centre = np.eye(5, 12)[speakers]
    session = generator.normal(size=(20, 12))[np.repeat(np.arange(20), 5)]
    noise = generator.normal(size=(100, 12))
    return np.float32(centre + 0.1 * session + 0.01 * noise), speakers


@pytest.mark.parametrize("linkage", ["ward", "average"])
@pytest.mark.parametrize("spherical", [True, False])
def test_merged_clusters_are_the_speakers(linkage, spherical):
    embeddings, speakers = rings()
    clusters = agglomerative(
        embeddings,
        5,
        num_small_clusters=20,
        linkage=linkage,
        spherical=spherical,
        **OPTIONS,
    )
    assert nmi(clusters.labels, speakers) == pytest.approx(1.0)
    if spherical:
        length = np.linalg.norm(embeddings, axis=1, keepdims=True)
        embeddings = embeddings / length
    for label in range(5):
        own = embeddings[clusters.labels == label]
        centroid = own.mean(0)
        if spherical:
            centroid /= np.linalg.norm(centroid)
        np.testing.assert_allclose(
            clusters.centroids[label], centroid, atol=1e-5
        )
        np.testing.assert_allclose(
            clusters.distances[clusters.labels == label],
            ((own - centroid) ** 2).sum(1),
            atol=1e-5,
        )


def test_a_small_cluster_per_utterance_is_plain_agglomeration():
    embeddings, _ = rings(1)
    ours = agglomerative(
        embeddings, 7, num_small_clusters=10**6, spherical=False, **OPTIONS
    )
    plain = AgglomerativeClustering(7).fit_predict(embeddings)
    assert nmi(ours.labels, plain) == pytest.approx(1.0)


def test_small_clusters_without_utterances_do_not_count():
    embeddings = np.repeat(np.eye(3), 4, axis=0)
    clusters = agglomerative(embeddings, 3, num_small_clusters=6, **OPTIONS)
    assert sorted(np.unique(clusters.labels)) == [0, 1, 2]
    np.testing.assert_allclose(clusters.distances, 0, atol=1e-6)
    with pytest.raises(ValueError, match="raise num_small_clusters"):
        agglomerative(embeddings, 4, num_small_clusters=3, **OPTIONS)
