"""Collective operations, on one process and on two."""

import datetime
import sys
import time

import pytest
import torch
import torch.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering.online import SinkhornAssignment
from ssrl_brain.evaluation import rows as rows_of
from ssrl_brain.evaluation.embed import embed
from ssrl_brain.system.distributed import (
    distinct_rows,
    from_first_rank,
    gather_rows,
    mean_over_ranks,
    num_ranks,
    on_first_rank,
    rank,
)


def test_one_process():
    assert (rank(), num_ranks()) == (0, 1)
    tensor = torch.tensor([1.0, 3.0])
    assert mean_over_ranks(tensor).tolist() == [1, 3]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_rows_have_the_first_result_of_their_utterance(indices):
    """Of repeated rows, the one that comes first counts, on every rank."""
    index = torch.tensor(indices)
    position = torch.arange(len(indices))
    gathered = gather_rows(index, position, position[:, None] * 2)
    assert gathered[0].tolist() == sorted(indices)
    for rows, found, pairs in (gathered, distinct_rows(*gathered)):
        assert found.tolist() == [indices.index(i) for i in rows.tolist()]
        assert pairs.shape == (len(rows), 1)
    assert rows.tolist() == sorted(set(indices))


class Table:
    """What ``embed`` needs of a table: seven utterances of one length."""

    num_frames = torch.full((7,), 100)
    sample_rates = torch.full((7,), 100)
    paths = ["a.wav"] * 7

    def __len__(self):
        return 7


def on_two_ranks(number, folder, results):
    torch.set_num_threads(1)  # a forked process has none of OpenMP's threads
    torch.distributed.init_process_group(
        "gloo", f"file://{folder}/store", rank=number, world_size=2
    )
    index = torch.tensor([[4, 2, 9], [2, 0, 4]][number])
    values = torch.tensor([10.0, 20.0, 30.0]) + number
    gathered = gather_rows(index, values)
    every, rows = gathered[0], distinct_rows(*gathered)
    mean = mean_over_ranks(torch.tensor([1.0, 10.0]) * (number + 1))
    labels = from_first_rank(torch.tensor([3, 4]) + number)
    assign = SinkhornAssignment(rows_per_cluster=3)
    posteriors = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]).log()
    waiting, labels_of_none, _ = assign(index, posteriors, rest=4)
    assert [len(x) for x in gather_rows(waiting, labels_of_none)] == [0, 0]
    assigned = [waiting, *assign(index + 10, posteriors, rest=0)]
    calls = []

    def encode(wave, lengths):
        calls.append(len(wave))
        return wave.mean(1, keepdim=True) + torch.arange(2)

    embeddings = embed(encode, Table(), folder, 100, batch_seconds=2.0)
    only_first = embed(
        encode, Table(), folder, 100, batch_seconds=2.0, into=rows_of.in_memory
    )
    rows_of.BLOCK = 3
    mine = [[4, 0, 6], [1, 5, 2, 3]][number]
    found = []
    for into in (None, rows_of.in_memory):
        made = rows_of.Rows(7, len(mine), into)
        made.put(mine[:2], torch.tensor(mine[:2])[:, None].float())
        made.put(mine[2:], torch.tensor(mine[2:])[:, None].float())
        found.append(made.of_all_ranks("cpu"))
    results[number] = [
        every.tolist(),
        [x.tolist() for x in rows],
        mean.tolist(),
        embeddings.tolist(),
        labels.tolist(),
        [x.tolist() for x in assigned],
        sum(calls) / 2,
        None if only_first is None else only_first.tolist(),
        [None if x is None else x.flatten().tolist() for x in found],
    ]
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="forks its ranks")
def test_two_processes_hold_the_same(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", torch.full((100,), 0.5).numpy(), 100)
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.start_processes(
            on_two_ranks,
            (str(tmp_path), results),
            nprocs=2,
            start_method="fork",
        )
        first, second = results[0], results[1]
    assert first[:6] == second[:6]
    every, rows, mean, embeddings, labels, assigned, *_ = first
    assert first[7] == embeddings and second[7] is None
    assert first[8] == [list(range(7)), list(range(7))]
    assert second[8] == [list(range(7)), None]
    assert assigned[0] == []
    assert assigned[1] == [0, 2, 4, 9, 10, 12, 14, 19]  # of both ranks
    assert labels == [3, 4]
    assert every == [0, 2, 2, 4, 4, 9]
    # rank 0 comes first
    assert rows == [[0, 2, 4, 9], [21, 20, 10, 30]]
    assert mean == [1.5, 15]
    torch.testing.assert_close(
        torch.tensor(embeddings),
        torch.tensor([[0.5, 1.5]]).expand(7, 2),
        atol=1e-4,
        rtol=0,
    )
    assert first[6] + second[6] == 7 and min(first[6], second[6]) > 0


def waiting_longer_than_allowed(number, folder, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        f"file://{folder}/store",
        rank=number,
        world_size=2,
        timeout=datetime.timedelta(seconds=1),
    )

    def cluster():
        time.sleep(2.5)
        return 7

    found = [on_first_rank(cluster), on_first_rank(lambda: 8)]
    results[number] = found + mean_over_ranks(torch.ones(1)).tolist()
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform != "linux", reason="forks its ranks")
def test_the_first_rank_may_work_longer_than_a_collective_operation(tmp_path):
    with torch.multiprocessing.Manager() as manager:
        results = manager.dict()
        torch.multiprocessing.start_processes(
            waiting_longer_than_allowed,
            (str(tmp_path), results),
            nprocs=2,
            start_method="fork",
        )
        assert results[0] == [7, 8, 1.0]
        assert results[1] == [None, None, 1.0]
