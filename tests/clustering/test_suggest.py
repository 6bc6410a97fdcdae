"""A number of clusters from embeddings alone."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering.kmeans import clusters_of_labels
from ssrl_brain.clustering.suggest import (
    candidates,
    silhouette,
    suggest_num_clusters,
    whitened,
)


def voices(num_speakers, utterances, noise=0.5, seed=0, dim=64):
    """Embeddings around a random direction for each speaker."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((num_speakers, dim))
    rows = centres.repeat(utterances, axis=0)
    return rows + noise * generator.standard_normal(rows.shape)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(2, 9), st.integers(0, 10**6))
def test_silhouette_is_scikit_learns(num_rows, num_clusters, seed):
    generator = np.random.default_rng(seed)
    embeddings = generator.standard_normal((num_rows, 5)).astype(np.float32)
    labels = generator.integers(0, num_clusters, num_rows)
    if not 2 <= len(set(labels)) < num_rows:
        return
    expected = sklearn.metrics.silhouette_score(
        embeddings, labels, metric="cosine"
    )
    assert silhouette(embeddings, labels) == pytest.approx(expected, abs=1e-4)


def test_one_cluster_has_no_silhouette():
    assert np.isnan(silhouette(np.eye(3), np.zeros(3, int)))


@pytest.mark.parametrize("num_speakers", [6, 24, 100])
def test_speakers_are_counted(num_speakers):
    found = suggest_num_clusters(voices(num_speakers, 12))
    assert 0.75 <= found.speakers / num_speakers <= 1.34
    assert found.num_clusters == round(1.33 * found.speakers)
    numbers = [number for number, _ in found.tried]
    assert found.speakers in numbers and numbers == sorted(numbers)


def test_sexes_do_not_count_as_speakers():
    """A large difference that many speakers share is whitened away."""
    embeddings = voices(40, 10, noise=1.0)
    embeddings += np.sign(np.arange(400) - 199.5)[:, None] * 12 * np.eye(64)[0]
    sexes, speakers = (
        silhouette(embeddings, np.arange(400) // size) for size in (200, 10)
    )
    assert sexes > speakers
    assert 30 <= suggest_num_clusters(embeddings).speakers <= 54


def test_a_small_peak_does_not_end_the_search():
    """Three groups of speakers that are alike, as the silhouette sees first."""
    generator = np.random.default_rng(0)
    groups = 0.8 * generator.standard_normal((3, 64)).repeat(20, axis=0)
    speakers = groups + generator.standard_normal((60, 64))
    rows = speakers.repeat(12, axis=0)
    rows += 0.9 * generator.standard_normal(rows.shape)
    found = suggest_num_clusters(rows)
    assert 45 <= found.speakers <= 80
    assert found.tried[-1][0] > 100


def test_a_sample_of_a_large_corpus_is_looked_at():
    embeddings = voices(10, 100)
    found = suggest_num_clusters(embeddings, max_rows=200)
    assert found.tried[-1][0] <= 100
    assert 7 <= found.speakers <= 14


def test_too_few_utterances_say_what_to_give():
    with pytest.raises(ValueError, match="give --num_clusters"):
        suggest_num_clusters(np.eye(3))
    assert suggest_num_clusters(np.eye(4)).num_clusters == 2


def test_candidates_ascend_without_repetition():
    for num_rows in (4, 5, 17, 1000):
        numbers = candidates(num_rows)
        assert numbers[0] == 2 and numbers[-1] == max(num_rows // 2, 2)
        assert numbers == sorted(set(numbers))


def test_whitened_rows_have_a_finite_width_where_nothing_varies():
    assert np.isfinite(whitened(np.ones((5, 3)))).all()


def test_clusters_of_given_labels():
    """Two utterances at 60 degrees: their mean lies 30 from each."""
    embeddings = np.float32([[1, 0], [0.5, 3**0.5 / 2], [0, -2]])
    found = clusters_of_labels(embeddings, np.array([0, 0, 2]))
    cosine = 3**0.5 / 2
    np.testing.assert_allclose(
        found.distances, [2 - 2 * cosine] * 2 + [0], atol=1e-6
    )
    assert found.centroids.shape == (3, 2)
    assert not found.centroids[1].any()
