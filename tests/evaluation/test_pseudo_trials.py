"""Pairs and a threshold from clusters."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ssrl_brain.evaluation.pseudo_trials import (
    pairs_of_clusters,
    threshold_of_clusters,
)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=30))
def test_pairs_are_of_one_and_of_two_clusters(labels):
    labels = np.array(labels)
    same, different = pairs_of_clusters(labels, 200)
    for pairs, alike in ((same, True), (different, False)):
        first, second = labels[pairs].T
        assert ((first == second) == alike).all()
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_nothing_to_tell_apart():
    embeddings = np.eye(3, dtype=np.float32)
    assert threshold_of_clusters(embeddings, np.zeros(3, int)) is None
    assert threshold_of_clusters(embeddings, np.arange(3)) is None


def test_threshold_parts_two_clusters():
    generator = np.random.default_rng(0)
    embeddings = np.eye(2).repeat(50, axis=0)
    embeddings = embeddings + 0.1 * generator.standard_normal((100, 2))
    threshold = threshold_of_clusters(
        np.float32(embeddings), np.arange(100) // 50
    )
    assert 0.2 < threshold < 0.95
