"""Online clustering over several batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering.online import SinkhornAssignment
from ssrl_brain.data.sampler import EpochBatchSampler


def posteriors(num_rows, num_clusters, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(num_rows, num_clusters, generator=generator)
    logits[:, 0] += 2  # a cluster that many prefer
    return logits.softmax(1)


def epoch(assign, sampler, log_probs):
    """Yields what is ready after each batch: index and labels."""
    for number, keys in enumerate(sampler, start=1):
        index = torch.tensor([key.index for key in keys])
        yield assign(index, log_probs[index], sampler.rest(number))[:2]


def test_labels_are_those_of_the_reference_solution():
    ot = pytest.importorskip("ot")
    probs = posteriors(40, 7)
    assign = SinkhornAssignment(
        sharpness=8.0, rows_per_cluster=4, tol=1e-5, max_iters=5000
    )
    sampler = EpochBatchSampler(40, batch_size=10, seed=0)
    *early, (index, labels) = epoch(assign, sampler, probs.log())
    assert all(len(rows) == 0 for rows, _ in early)
    plan = ot.sinkhorn(
        np.full(40, 1 / 40),
        np.full(7, 1 / 7),
        -probs.double().numpy(),
        reg=1 / 8.0,
        stopThr=1e-9,
        numItermax=10000,
    )
    assert labels.tolist() == plan.argmax(1)[index].tolist()
    assert labels.tolist() != probs.argmax(1)[index].tolist()


def test_four_utterances_by_hand():
    """All prefer cluster 0; the two that mind least have to leave it."""
    assign = SinkhornAssignment(sharpness=200.0, max_iters=2000)
    probs = torch.tensor([[0.95, 0.05], [0.6, 0.4], [0.9, 0.1], [0.55, 0.45]])
    index, labels, _ = assign(torch.tensor([8, 2]), probs[:2].log(), rest=2)
    assert index.tolist() == labels.tolist() == []
    index, labels, found = assign(torch.tensor([4, 6]), probs[2:].log(), rest=0)
    # each batch comes in order of its rows
    assert index.tolist() == [2, 8, 4, 6] and labels.tolist() == [1, 0, 0, 1]
    expected = probs[[1, 0, 2, 3]].log()
    torch.testing.assert_close(found.float(), expected, rtol=1e-3, atol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 9), st.integers(2, 12), st.integers(0, 60), st.floats(1, 3)
)
def test_an_epoch_is_divided_evenly(clusters, batch, more, rows_per_cluster):
    num = max(clusters + 1, batch) + more
    assign = SinkhornAssignment(5.0, rows_per_cluster, tol=0.1)
    sampler = EpochBatchSampler(num, batch, seed=0)
    log_probs = posteriors(num, clusters).log()
    for _ in range(2):
        sizes, seen = [], []
        for index, labels in epoch(assign, sampler, log_probs):
            assert len(index) == len(labels)
            seen += index.tolist()
            sizes += [len(index)] if len(index) else []
        assert sorted(seen) == list(range(num))  # each once, nothing is left
        assert len(assign.index) == len(assign.log_probs) == 0
        least = int(rows_per_cluster * clusters) + 1
        assert min(sizes) >= min(least, num)
        assert max(sizes) <= 2 * least + batch


def test_batches_in_flight_survive_a_checkpoint(tmp_path):
    log_probs = posteriors(30, 4).log()
    sampler = EpochBatchSampler(30, batch_size=5, seed=0)

    def make():
        return SinkhornAssignment(10.0, rows_per_cluster=3)

    straight = list(epoch(make(), sampler, log_probs))
    assert [len(index) for index, _ in straight] == [0, 0, 15, 0, 0, 15]
    for stop in (1, 3, 5):
        killed, resumed = make(), make()
        batches = epoch(killed, sampler, log_probs)
        found = [next(batches) for _ in range(stop)]
        torch.save(killed.state_dict(), tmp_path / "state.ckpt")
        # It may be loaded where another number of batches is in flight.
        resumed(torch.arange(3), log_probs[:3], rest=27)
        resumed.load_state_dict(
            torch.load(tmp_path / "state.ckpt", weights_only=True)
        )
        for number, keys in enumerate(sampler, start=1):
            if number > stop:
                index = torch.tensor([key.index for key in keys])
                rest = sampler.rest(number)
                found.append(resumed(index, log_probs[index], rest)[:2])
        for ours, theirs in zip(found, straight, strict=True):
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])


def test_fewer_utterances_than_clusters_are_refused():
    assign = SinkhornAssignment(1.0)
    with pytest.raises(ValueError, match="lower --num_clusters"):
        assign(torch.arange(2), posteriors(2, 6).log(), rest=4)
    with pytest.raises(ValueError, match="rows_per_cluster must be at least 1"):
        SinkhornAssignment(1.0, rows_per_cluster=0.5)
