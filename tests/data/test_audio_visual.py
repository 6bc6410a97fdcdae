"""Crops together with frames, as a function of (seed, epoch, utterance)."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from ssrl_brain.data import frames, utterances
from ssrl_brain.data.audio_visual import (
    AudioVisualDataset,
    make_audio_visual_set,
)
from ssrl_brain.data.batches import collate
from ssrl_brain.data.frames import Frames
from ssrl_brain.data.image_augment import ImageAugment
from ssrl_brain.data.preparation import write_table
from ssrl_brain.data.sampler import EpochBatchSampler, Key
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import View

COUNTS = [1, 2, 5, 3]  # frames of each utterance


@pytest.fixture
def dataset(tiny_corpus, tmp_path):
    """Frames whose red tells their number and whose green their utterance."""
    for row, count in enumerate(COUNTS):
        (tmp_path / f"u{row}").mkdir()
        for number in range(count):
            image = Image.new("RGB", (6, 6), (10 * number, 10 * row, 200))
            image.save(tmp_path / f"u{row}/{number}.png")
    names = ["/".join(f"{n}.png" for n in range(count)) for count in COUNTS]
    pictures = Frames(
        tmp_path, [f"u{row}" for row in range(len(COUNTS))], names
    )
    paths = [f"wav/id00000/s0/{n % 3}.wav" for n in range(len(COUNTS))]
    table = Utterances("abcd", paths, [8000] * 4, [16000] * 4, [0] * 4)
    folder = tiny_corpus["data_folder"]

    def make(image_views=(None, None), seed=3):
        views = [View(1, 0.2), View(1, 0.2)]
        return AudioVisualDataset(
            pictures, 4, image_views, table, folder, views, seed, 16000
        )

    return make


def shown(images):
    """[(utterance, frame)] of undistorted views."""
    return [(int(x[1, 0, 0]) // 10, int(x[0, 0, 0]) // 10) for x in images]


def test_views_see_different_frames_of_their_utterance(dataset):
    data = dataset()
    seen = {row: set() for row in range(4)}
    for epoch in range(60):
        for row, count in enumerate(COUNTS):
            _, _, images = data[Key(row, epoch, 0)]
            (first, one), (second, other) = shown(images)
            assert first == second == row
            assert (one != other) == (count > 1)
            seen[row] |= {one, other}
    assert [len(seen[row]) for row in range(4)] == COUNTS  # all get their turn


def test_images_are_a_function_of_seed_epoch_utterance_and_view(dataset):
    augment = ImageAugment(hue=0.4)

    def images(seed=3, epoch=1, row=0, batch=0):
        found = dataset((augment, augment), seed)[Key(row, epoch, batch)][2]
        return np.stack(found)

    same = images()
    assert np.array_equal(same, images(batch=7))  # not of the batch
    assert not np.array_equal(same, images(seed=4))
    assert not np.array_equal(same, images(epoch=2))
    assert not np.array_equal(same[0], same[1])  # one frame, two distortions


def test_sound_is_that_of_a_dataset_without_faces(dataset):
    data, key = dataset(), Key(2, 1, 0)
    _, views, _ = data[key]
    _, alone = super(AudioVisualDataset, data).__getitem__(key)
    for ours, theirs in zip(views, alone, strict=True):
        assert np.array_equal(ours[0], theirs[0])


def test_batches_are_the_same_with_workers(dataset):
    data = dataset((None, ImageAugment()))
    batches = []
    for workers in (0, 2):
        sampler = EpochBatchSampler(4, 2, seed=0)
        sampler.set_epoch(1)
        loader = DataLoader(
            data, batch_sampler=sampler, collate_fn=collate, num_workers=workers
        )
        batches.append(list(loader))
    for ours, theirs in zip(*batches, strict=True):
        assert torch.equal(ours.index, theirs.index)
        for one, other in zip(ours.images, theirs.images, strict=True):
            assert one.shape == (2, 3, 4, 4) and one.dtype == torch.uint8
            assert torch.equal(one, other)


def test_what_purification_drops_takes_its_frames_along(dataset):
    data = dataset()
    keep = np.array([False, True, False, True])
    kept = data.labelled(np.arange(4), keep)
    assert len(kept) == len(kept.frames) == 2
    _, _, images = kept[Key(1, 0, 0)]
    assert {row for row, _ in shown(images)} == {3}
    assert kept.fingerprint() != data.fingerprint()
    fewer = data.labelled(np.arange(4), np.ones(4, bool))
    before = fewer.fingerprint()
    fewer.frames = Frames(
        fewer.frames.folder, list(fewer.frames.sources), ["0.png"] * 4
    )
    assert fewer.fingerprint() != before


def test_a_share_of_the_utterances_keeps_their_frames(dataset, tmp_path):
    whole = dataset()
    ids = list(whole.utterances.ids)
    names = [whole.frames.names_of(n) for n in range(len(COUNTS))]
    rows = [[name, f"{name}.wav", 0.5, 8000, 16000, 0] for name in ids]
    write_table(tmp_path / "train.csv", utterances.COLUMNS, rows)
    rows = [[ids[n], f"u{n}", "/".join(names[n])] for n in range(len(ids))]
    write_table(tmp_path / "frames.csv", frames.COLUMNS, rows)
    found = make_audio_visual_set(
        tmp_path / "train.csv",
        tmp_path / "frames.csv",
        tmp_path,
        image_size=4,
        image_views=[None],
        data_folder=tmp_path,
        views=[View(1, 0.2)],
        seed=3,
        sample_rate=16000,
        subset=lambda table: [1, 3],
    )
    assert list(found.utterances.ids) == [ids[1], ids[3]]
    assert [found.frames.names_of(n) for n in (0, 1)] == [names[1], names[3]]
