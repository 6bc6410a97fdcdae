"""K-means: consistent, deterministic, and loud about what it cannot do."""

import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering import kmeans as kmeans_module
from ssrl_brain.clustering.kmeans import (
    cluster_sessions,
    gpus_for_faiss,
    kmeans,
    session_means,
)


def blobs(num_blobs=5, size=20, dim=8, seed=0):
    """Well separated directions; lengths vary."""
    rng = np.random.default_rng(seed)
    centers = np.eye(dim)[:num_blobs].repeat(size, axis=0)
    points = centers + 0.05 * rng.normal(size=centers.shape)
    lengths = rng.uniform(0.5, 4, size=(len(points), 1))
    return (points * lengths).astype(np.float32)


def nearest(points, centroids):
    """Label and squared distance by comparing with every centroid."""
    squared = ((points[:, None] - centroids[None]) ** 2).sum(-1)
    return squared.argmin(1), squared.min(1)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.booleans(), st.integers(0, 99), st.integers(1, 3))
def test_labels_and_distances_belong_to_the_centroids(
    num_clusters, spherical, seed, num_restarts
):
    points = blobs(seed=seed)
    clusters = kmeans(
        points,
        num_clusters,
        num_iters=5,
        spherical=spherical,
        seed=seed,
        num_restarts=num_restarts,
        use_gpu=False,
    )
    assert clusters.labels.dtype == np.int64
    assert clusters.centroids.shape == (num_clusters, 8)
    assert clusters.centroids.dtype == clusters.distances.dtype == np.float32
    if spherical:
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        lengths = np.linalg.norm(clusters.centroids, axis=1)
        np.testing.assert_allclose(lengths, 1, atol=1e-5)
    labels, distances = nearest(points, clusters.centroids)
    np.testing.assert_array_equal(clusters.labels, labels)
    np.testing.assert_allclose(clusters.distances, distances, atol=1e-4)


def test_finds_separate_directions():
    truth = np.arange(5).repeat(20)
    clusters = kmeans(blobs(), 5, num_restarts=5, use_gpu=False)
    pairs = set(zip(truth, clusters.labels, strict=True))
    assert len(pairs) == 5  # one to one
    cosine = np.abs(clusters.centroids).max(axis=1)
    np.testing.assert_allclose(cosine, 1, atol=0.01)


def test_same_seed_same_clusters():
    points = np.random.default_rng(0).normal(size=(300, 8))
    first, again, other = (
        kmeans(points, 20, seed=seed, use_gpu=False) for seed in (7, 7, 8)
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first.labels != other.labels).any()


def test_length_is_of_no_consequence_when_spherical():
    points = blobs()
    longer = points * np.float32(2) ** (np.arange(len(points)) % 7)[:, None]
    first, second = (kmeans(x, 5, use_gpu=False) for x in (points, longer))
    np.testing.assert_array_equal(first.labels, second.labels)


def test_restarts_never_make_it_worse():
    points = blobs(num_blobs=8)
    once, often = (
        kmeans(points, 8, num_iters=10, num_restarts=n, use_gpu=False)
        for n in (1, 10)
    )
    assert often.distances.sum() <= once.distances.sum() + 1e-4


def test_tensors_of_any_type_and_input_untouched():
    points = torch.tensor(blobs(), requires_grad=True)
    before = points.detach().clone()
    expected = kmeans(before.numpy(), 5, use_gpu=False)
    found = kmeans(points, 5, use_gpu=False)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert torch.equal(points, before)
    halves = kmeans(before.half(), 5, use_gpu=False)
    assert halves.centroids.dtype == np.float32


@pytest.mark.parametrize("num_clusters", [1, 3, 6])
def test_silent_and_whole_at_its_edges(num_clusters, capfd):
    points = blobs(num_blobs=3, size=2)  # 6 utterances
    clusters = kmeans(points, num_clusters, use_gpu=False)
    assert clusters.labels.shape == clusters.distances.shape == (6,)
    assert np.isfinite(clusters.centroids).all()
    assert capfd.readouterr() == ("", "")


def test_takes_part_with_every_utterance(capfd):
    # more than the 256 utterances per centroid at which faiss sub-samples
    points = np.concatenate([np.ones(600), np.full(600, 3)])[:, None]
    clusters = kmeans(points, 1, spherical=False, use_gpu=False)
    assert clusters.centroids.item() == pytest.approx(2, abs=1e-5)
    assert capfd.readouterr() == ("", "")


def test_equal_embeddings_leave_finite_centroids():
    clusters = kmeans(np.ones((10, 4)), 3, use_gpu=False)
    assert np.isfinite(clusters.centroids).all()
    np.testing.assert_allclose(clusters.distances, 0, atol=1e-5)


def test_more_clusters_than_utterances():
    message = (
        r"num_clusters \(5\) is larger than the number of utterances \(4\): "
        "lower --num_clusters"
    )
    with pytest.raises(ValueError, match=message):
        kmeans(np.ones((4, 2)), 5)


@pytest.mark.parametrize(
    "points, num_clusters, message",
    [
        ([[1, 0], [0, 0], [0, 0]], 1, "2 of 3 embeddings are zero"),
        ([[1, 0], [np.nan, 0], [1, 1]], 1, "1 of 3 embeddings are not finite"),
        ([[np.inf, 0], [np.nan, 0]], 1, "2 of 2 embeddings are not finite"),
        ([[1, 0]], 0, "at least 1"),
        ([1, 2], 1, "must be"),
    ],
)
def test_unusable_embeddings_are_counted(points, num_clusters, message):
    with pytest.raises(ValueError, match=message):
        kmeans(np.float32(points), num_clusters, use_gpu=False)


def test_zero_is_a_place_like_any_other_in_flat_space():
    clusters = kmeans(np.float32([[0], [9]]), 2, spherical=False, use_gpu=False)
    assert sorted(clusters.centroids.ravel()) == [0, 9]


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    with pytest.raises(ValueError, match="faiss finds no GPU"):
        kmeans(np.ones((4, 2)), 2, use_gpu=True)
    assert len(kmeans(np.ones((4, 2)), 2).labels) == 4


@pytest.mark.skipif(not faiss.get_num_gpus(), reason="needs a GPU")
def test_gpu_finds_what_the_cpu_finds():
    on_gpu, on_cpu = (
        kmeans(blobs(), 5, num_restarts=5, use_gpu=use) for use in (True, False)
    )
    pairs = set(zip(on_gpu.labels, on_cpu.labels, strict=True))
    assert len(pairs) == 5


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-3, 9), min_size=1, max_size=30))
def test_session_means_by_hand(session):
    session = np.array(session)
    embeddings = np.random.default_rng(1).normal(size=(len(session), 3))
    means, row = session_means(embeddings, session)
    assert means.dtype == np.float32
    assert len(means) == len(set(session))
    for number, mean in zip(sorted(set(session)), means, strict=True):
        expected = embeddings[session == number].mean(axis=0)
        np.testing.assert_allclose(mean, expected, atol=1e-5)
    np.testing.assert_array_equal(np.unique(session)[row], session)


def test_utterances_of_a_session_share_their_label():
    points = blobs()  # 5 directions of 20 utterances
    session = np.arange(100) // 4 + 50
    points[3] = points[50]  # lies nearer to another session's centroid
    clusters = cluster_sessions(
        points, session, lambda x: kmeans(x, 5, num_restarts=5, use_gpu=False)
    )
    labels = clusters.labels.reshape(25, 4)
    assert (labels == labels[:, :1]).all()
    assert len({*clusters.labels}) == 5
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    own = ((unit - clusters.centroids[clusters.labels]) ** 2).sum(1)
    np.testing.assert_allclose(clusters.distances, own, atol=1e-5)
    assert clusters.distances[3] > 1  # and purification will drop it


@pytest.mark.parametrize("spherical", [True, False])
def test_sessions_of_one_utterance_are_plain_kmeans(spherical):
    points = blobs()
    options = {"spherical": spherical, "use_gpu": False, "seed": 3}
    by_session = cluster_sessions(
        points, np.arange(100), lambda x: kmeans(x, 5, **options), spherical
    )
    plain = kmeans(points, 5, **options)
    np.testing.assert_array_equal(by_session.labels, plain.labels)
    np.testing.assert_allclose(by_session.distances, plain.distances, atol=1e-5)


def test_unusable_sessions_are_named():
    with pytest.raises(ValueError, match=r"larger than .* \(2\)"):
        cluster_sessions(np.ones((4, 2)), [0, 0, 1, 1], lambda x: kmeans(x, 3))
    with pytest.raises(ValueError, match="4 embeddings but sessions"):
        session_means(np.ones((4, 2)), [0, 1])


def test_of_several_ranks_faiss_has_the_gpu_of_the_first(monkeypatch):
    """The others' hold what only the other ranks could free."""
    assert gpus_for_faiss(4) == 4
    monkeypatch.setattr(kmeans_module, "num_ranks", lambda: 4)
    assert gpus_for_faiss(4) == 1
    assert gpus_for_faiss(0) == 0
