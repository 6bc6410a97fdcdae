"""An utterance is the mean over its frames."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ssrl_brain.data.frames import Frames
from ssrl_brain.evaluation.embed_frames import (
    embed_frames,
    shares,
    sums_of_rows,
)


@pytest.fixture
def frames(tmp_path):
    """Grey levels 10, 20 and 30 for the first, 40 for the second."""
    for row, levels in enumerate([(10, 20, 30), (40,)]):
        (tmp_path / f"u{row}").mkdir()
        for number, level in enumerate(levels):
            image = Image.new("RGB", (8, 8), (level, level, level))
            image.save(tmp_path / f"u{row}/{number}.png")
    return Frames(tmp_path, ["u0", "u1"], ["0.png/1.png/2.png", "0.png"])


@pytest.mark.parametrize("batch_frames", [1, 2, 3, 64])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_mean_of_all_frames_by_hand(frames, batch_frames, num_workers):
    def encode(images):
        assert images.shape[1:] == (3, 4, 4) and images.dtype == torch.uint8
        level = images.float().mean((1, 2, 3))
        return torch.stack([level, level**2], 1)

    found = embed_frames(
        encode,
        frames,
        4,
        batch_frames=batch_frames,
        num_workers=num_workers,
    )
    expected = [[20, np.mean([100, 400, 900])], [40, 1600]]
    torch.testing.assert_close(found, torch.tensor(expected).float())


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 14))
def test_ranks_share_all_utterances(counts, num_ranks):
    counts = np.array(counts)
    found = shares(counts, num_ranks)
    assert len(found) == num_ranks
    assert np.concatenate(found).tolist() == list(range(len(counts)))
    if num_ranks <= len(counts):
        assert all(len(rows) for rows in found)
    alike = [len(rows) for rows in shares(np.ones(12), num_ranks)]
    assert max(alike) - min(alike) <= 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 14))
def test_sums_do_not_depend_on_the_batches(counts, batch):
    rows = torch.repeat_interleave(torch.tensor(counts))
    vectors = torch.randn(len(rows), 2)
    parts = zip(rows.split(batch), vectors.split(batch), strict=True)
    found = list(sums_of_rows(parts))
    assert np.concatenate([x for x, _ in found]).tolist() == list(
        range(len(counts))
    )
    expected = torch.zeros(len(counts), 2).double()
    expected.index_add_(0, rows, vectors.double())
    assert torch.equal(torch.cat([x for _, x in found]), expected)
