"""Purification: the two rules of the paper, one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.clustering.purify import purify


def clusters_of(labels, distances):
    return Clusters(np.array(labels, dtype=int), None, np.array(distances))


def purify_by_hand(labels, distances, drop_fraction, min_cluster_size):
    """Sorts utterances by distance, then counts what is left."""
    order = sorted(range(len(labels)), key=lambda i: (distances[i], i))
    kept = order[: len(labels) - round(drop_fraction * len(labels))]
    left = [labels[i] for i in kept]
    return [
        i in kept and left.count(labels[i]) >= min_cluster_size
        for i in range(len(labels))
    ]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1),
    st.floats(0, 0.99),
    st.integers(0, 5),
)
def test_equals_the_two_rules(rows, drop_fraction, min_cluster_size):
    labels, distances = zip(*rows, strict=True)
    keep = purify(
        clusters_of(labels, distances), drop_fraction, min_cluster_size
    )
    expected = purify_by_hand(
        labels, distances, drop_fraction, min_cluster_size
    )
    assert keep.dtype == bool
    assert keep.tolist() == expected


def test_small_clusters_are_counted_after_dropping():
    clusters = clusters_of([0, 0, 0, 1, 1], [0.1, 0.2, 0.9, 0.3, 0.3])
    assert purify(clusters, 0, 3).tolist() == [1, 1, 1, 0, 0]
    assert purify(clusters, 0.2, 3).tolist() == [0] * 5
    assert purify(clusters, 0.2, 2).tolist() == [1, 1, 0, 1, 1]


def test_ties_keep_the_earlier_utterances():
    clusters = clusters_of([0, 1, 0, 1], [0.5] * 4)
    assert purify(clusters, 0.5, 1).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("num_rows", [0, 1])
def test_next_to_nothing(num_rows):
    clusters = clusters_of([0] * num_rows, [0.0] * num_rows)
    assert purify(clusters, 0, 1).tolist() == [True] * num_rows


@pytest.mark.parametrize("drop_fraction", [-0.1, 1, float("nan")])
def test_share_out_of_range(drop_fraction):
    with pytest.raises(ValueError, match="drop_fraction must be"):
        purify(clusters_of([0], [0.0]), drop_fraction, 1)


def test_distances_must_be_numbers():
    with pytest.raises(ValueError, match="1 distances are NaN"):
        purify(clusters_of([0, 0], [0.0, np.nan]), 0.1, 1)
