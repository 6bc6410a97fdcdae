"""Embeddings of whole utterances."""

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.embed import batches_by_length, embed

RATE = 1000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 50), max_size=30),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.integers(1, 200),
)
def test_batches_hold_every_row_once_within_limits(
    lengths, max_padding, max_samples
):
    batches = batches_by_length(lengths, max_padding, max_samples)
    rows = [row for batch in batches for row in batch.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        sizes = [lengths[row] for row in batch]
        assert min(sizes) >= (1 - max_padding) * max(sizes)
        assert len(batch) == 1 or len(batch) * max(sizes) <= max_samples


def test_batches_are_as_full_as_they_may_be():
    batches = batches_by_length([5] * 7, 0.0, 15)
    assert [len(batch) for batch in batches] == [3, 3, 1]


def test_batches_of_hours_are_counted_in_numbers_that_hold_them():
    """Files of three hours at 192 kHz, lengths in the types of a table."""
    length = 3 * 3600 * 192000
    for kind in (np.int32, np.int64):
        lengths = np.full(5, length, dtype=kind)
        batches = batches_by_length(lengths, 0.0, 2 * length)
        assert [len(batch) for batch in batches] == [2, 2, 1]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Files whose every sample is 0.1, 0.2, ...; lengths and rates vary."""
    folder = tmp_path_factory.mktemp("corpus")
    lengths = [300, 500, 300, 450, 1000]
    rates = [RATE, RATE, RATE, RATE, 2 * RATE]
    for i, (length, rate) in enumerate(zip(lengths, rates, strict=True)):
        wave = np.full(length, (i + 1) / 10)
        soundfile.write(folder / f"{i}.wav", wave, rate, subtype="FLOAT")
    names = [f"{i}.wav" for i in range(5)]
    return folder, Utterances(names, names, lengths, rates, np.zeros(5))


def level_and_length(wave, lengths):
    """(B, 2): mean over the unpadded part, and its length."""
    sizes = (lengths * wave.shape[1]).round()
    return torch.stack([wave.sum(1) / sizes, sizes], 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_padding": 0.5},
        {"max_padding": 1.0, "batch_seconds": 100},
        {"batch_seconds": 0.1, "num_workers": 1},
    ],
)
def test_rows_follow_the_table_however_they_are_batched(corpus, options):
    folder, table = corpus
    found = embed(level_and_length, table, folder, RATE, **options)
    assert found.dtype == torch.float32
    expected = [[0.1, 300], [0.2, 500], [0.3, 300], [0.4, 450], [0.5, 500]]
    torch.testing.assert_close(
        found[:4], torch.tensor(expected[:4]), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        found[4], torch.tensor(expected[4]), atol=2e-2, rtol=0
    )


def test_some_rows_in_the_order_asked_for(corpus):
    folder, table = corpus
    found = embed(level_and_length, table, folder, RATE, rows=[3, 0, 2])
    expected = torch.tensor([0.4, 0.1, 0.3])
    torch.testing.assert_close(found[:, 0], expected, atol=1e-5, rtol=0)


def test_no_padding_by_default_and_no_gradient(corpus):
    folder, table = corpus
    weight = torch.ones(1, requires_grad=True)

    def encode(wave, lengths):
        assert (lengths == 1).all()
        return wave.mean(1, keepdim=True) * weight

    assert not embed(encode, table, folder, RATE).requires_grad
