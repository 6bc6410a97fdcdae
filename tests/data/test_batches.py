"""Loaders: what is missing is told before any process reads."""

import logging

import numpy as np
import pytest
import soundfile

from ssrl_brain.data.augment import NoiseReverb
from ssrl_brain.data.batches import make_loader
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import CropDataset, View

RATE = 1000


@pytest.mark.parametrize("num_workers", [0, 1])
def test_missing_noise_is_told_once(num_workers, tmp_path, caplog, capfd):
    soundfile.write(tmp_path / "a.wav", np.ones(RATE) / 2, RATE)
    one = np.ones(2, int)
    table = Utterances(
        ["a", "b"], 2 * ["a.wav"], RATE * one, RATE * one, 0 * one
    )
    augment = NoiseReverb("none", "none", prob=1.0, sample_rate=RATE)
    views = [View(1, 0.5, augment), View(2, 0.5, augment)]
    data = CropDataset(table, tmp_path, views, 0, RATE)
    with caplog.at_level(logging.WARNING):
        loader = make_loader(data, 2, 0, num_workers=num_workers)
        assert caplog.text.count("Augmentation is limited to") == 1
        for _ in range(2):
            assert len(list(loader)) == 1
    assert caplog.text.count("Augmentation is limited to") == 1
    assert "limited" not in capfd.readouterr().err  # of those that read
