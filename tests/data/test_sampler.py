"""Which utterances form a batch."""

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssrl_brain.data.sampler import EpochBatchSampler, share_of_utterances


def batches(num, batch_size, seed=0, epoch=1, rank=0, num_ranks=1):
    sampler = EpochBatchSampler(num, batch_size, seed, rank, num_ranks)
    sampler.set_epoch(epoch)
    result = list(sampler)
    assert len(result) == len(sampler)
    return result


sizes = st.integers(6, 12).flatmap(
    lambda batch_size: st.tuples(
        st.integers(batch_size, 60), st.just(batch_size)
    )
)


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 9), st.integers(1, 9))
def test_every_utterance_once_in_batches_of_one_size(size, seed, epoch):
    num, batch_size = size
    found = batches(num, batch_size, seed, epoch)
    indices = [key.index for batch in found for key in batch]
    assert sorted(indices) == list(range(num))
    lengths = {len(batch) for batch in found}
    assert max(lengths) <= batch_size and max(lengths) - min(lengths) <= 1
    sampler = EpochBatchSampler(num, batch_size, seed)
    for number in range(len(found) + 1):
        assert sampler.rest(number) == sum(map(len, found[number:]))
    for number, batch in enumerate(found):
        assert {key[1:] for key in batch} == {(epoch, number)}


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from([2, 3]))
def test_ranks_share_the_batches_of_a_single_one(size, num_ranks):
    alone = batches(*size)
    shares = [
        batches(*size, rank=rank, num_ranks=num_ranks)
        for rank in range(num_ranks)
    ]
    for batch, *parts in zip(alone, *shares, strict=True):
        assert len({len(part) for part in parts}) == 1  # DDP needs it
        together = [key for part in parts for key in part]
        assert together[: len(batch)] == batch
        fewest = 2 * num_ranks  # no rank may get a single utterance
        assert len(together) < max(len(batch) + num_ranks, fewest + 1)
        assert set(together) == set(batch)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(0, 5), st.integers(0, 20))
@example(num_ranks=1, extra=0, more=1)  # 3 in batches of 2
@example(num_ranks=2, extra=0, more=1)  # 5 in batches of 4
def test_no_rank_ever_gets_a_single_utterance(num_ranks, extra, more):
    batch_size = 2 * num_ranks + extra
    for rank in range(num_ranks):
        for batch in batches(
            batch_size + more, batch_size, rank=rank, num_ranks=num_ranks
        ):
            assert len({key.index for key in batch}) >= 2


def test_order_is_a_function_of_seed_and_epoch():
    first = batches(20, 5, seed=1, epoch=3)
    assert batches(20, 5, seed=1, epoch=3) == first
    others = [batches(20, 5, seed=2, epoch=3), batches(20, 5, seed=1, epoch=4)]
    orders = {
        tuple(key.index for batch in found for key in batch)
        for found in (first, *others)
    }
    assert len(orders) == 3


def test_batches_are_mixed_anew_every_epoch():
    """No pair of utterances is stuck together: 99 epochs of 4 in twos."""
    partners = Counter(
        key.index
        for epoch in range(99)
        for batch in batches(4, 2, epoch=epoch)
        for key in batch
        if any(other.index == 0 for other in batch) and key.index != 0
    )
    assert sorted(partners) == [1, 2, 3] and min(partners.values()) > 15


@pytest.mark.parametrize(
    "num, batch_size, num_ranks, message",
    [
        (9, 10, 1, "9 utterances do not fill .* lower --batch_size=10"),
        (9, 3, 2, "fewer than two utterances each: raise --batch_size"),
        (9, 1, 1, "raise --batch_size"),
    ],
)
def test_batches_that_cannot_be_made(num, batch_size, num_ranks, message):
    with pytest.raises(ValueError, match=message):
        EpochBatchSampler(num, batch_size, 0, 0, num_ranks)


@pytest.mark.parametrize("seed", [0, 1])
def test_shares_of_a_corpus_are_nested_and_belong_to_the_seed(seed):
    drawn = [share_of_utterances(range(80), f, seed) for f in (0.25, 0.5, 1)]
    assert [len(rows) for rows in drawn] == [20, 40, 80]
    assert set(drawn[0]) < set(drawn[1]) < set(drawn[2])
    assert drawn[1].tolist() == sorted(drawn[1])
    other = share_of_utterances(range(80), 0.5, seed + 2)
    assert drawn[1].tolist() != other.tolist()


@pytest.mark.parametrize("fraction", [0, 1.5, -1])
def test_an_impossible_share_is_refused(fraction):
    with pytest.raises(ValueError, match="train_share"):
        share_of_utterances(range(8), fraction, 0)
