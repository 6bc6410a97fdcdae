"""Which utterances the crops of an example come from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.positives import ClusterPositives


def clustered(labels):
    positives = ClusterPositives(len(labels))
    positives.set_clusters(torch.tensor(labels))
    return positives


def draw(positives, index, num, seed=0):
    return positives(index, num, np.random.default_rng(seed)).tolist()


def test_before_the_first_clustering_all_crops_are_of_the_utterance():
    positives = ClusterPositives(5)
    for index in range(5):
        assert draw(positives, index, 4) == [index] * 4


def test_a_cluster_of_one_falls_back_to_the_utterance():
    positives = clustered([3, 0, 3, 3])
    assert draw(positives, 1, 3) == [1, 1, 1]


def test_a_small_cluster_is_used_evenly():
    positives = clustered([1, 4, 1, 4, 4])
    assert draw(positives, 2, 5) == [2, 0, 2, 0, 2]
    rows = draw(positives, 3, 6)
    assert rows[0] == 3 and sorted(rows) == [1, 1, 3, 3, 4, 4]


def test_members_and_bounds_by_hand():
    positives = clustered([2, 0, 2, 3, 0])
    assert positives.members.tolist() == [1, 4, 0, 2, 3]
    assert positives.bounds.tolist() == [0, 2, 2, 4, 5, 5]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_rows_belong_to_the_cluster_and_begin_with_the_utterance(data):
    size = data.draw(st.integers(1, 12))
    labels = data.draw(
        st.lists(st.integers(0, size - 1), min_size=size, max_size=size)
    )
    index = data.draw(st.integers(0, size - 1))
    num = data.draw(st.integers(1, 6))
    positives = clustered(labels)
    rows = draw(positives, index, num, data.draw(st.integers(0, 9)))
    same = [i for i in range(size) if labels[i] == labels[index]]
    assert rows[0] == index and len(rows) == num
    assert set(rows) <= set(same)
    assert len(set(rows)) == min(num, len(same))  # none twice without need


def test_all_others_of_the_cluster_are_equally_likely():
    positives = clustered([0] * 5)
    generator = np.random.default_rng(0)
    counts = np.zeros(5)
    for _ in range(2000):
        counts[positives(2, 3, generator)[1:]] += 1
    assert counts[2] == 0
    np.testing.assert_allclose(counts[[0, 1, 3, 4]], 1000, atol=100)


@pytest.mark.parametrize(
    "labels, message",
    [([0, 1], "3 utterances"), ([0, 1, 3], "between"), ([0, -1, 1], "between")],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        ClusterPositives(3).set_clusters(torch.tensor(labels))


def test_state_is_in_the_checkpoint():
    positives, other = clustered([0, 1, 0]), ClusterPositives(3)
    other.load_state_dict(positives.state_dict())
    assert draw(other, 2, 2) == [2, 0]
    with pytest.raises(RuntimeError, match="size mismatch"):
        ClusterPositives(4).load_state_dict(positives.state_dict())


class Rows(torch.utils.data.Dataset):
    """What ``CropDataset`` does with its ``sources``."""

    def __init__(self, sources):
        self.sources = sources

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.sources(index, 2, np.random.default_rng(index))


def test_reading_processes_of_the_next_epoch_see_new_clusters():
    positives = ClusterPositives(6)
    loader = torch.utils.data.DataLoader(
        Rows(positives), batch_size=None, num_workers=2
    )
    before = [rows.tolist() for rows in loader]
    positives.set_clusters(torch.tensor([0, 0, 1, 1, 2, 2]))
    after = [rows.tolist() for rows in loader]
    assert before == [[i, i] for i in range(6)]
    assert after == [[i, i ^ 1] for i in range(6)]
