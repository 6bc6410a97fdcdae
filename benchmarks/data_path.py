#!/usr/bin/env python3
"""Utterances that one reading process delivers in a second, by format.

    OMP_NUM_THREADS=1 python benchmarks/data_path.py

Utterances of 8 s (16 kHz, 16 bit), with the crops of `hparams/dino.yaml` (2 x
4 s + 4 x 2 s): decoded, cut, noise and rooms drawn, joined in batches of 32,
as a worker of the data loader does; mixing and features are the training
device's. `plain` is without noise and rooms. The files are in the page cache.
Seconds are those that the process was given, so that a busy machine counts
less.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
from common import report

from ssrl_brain.data.augment import NoiseReverb
from ssrl_brain.data.bank import write_bank
from ssrl_brain.data.batches import collate
from ssrl_brain.data.sampler import Key
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import CropDataset, View

RATE, SECONDS, BATCH = 16000, 8, 32


def speech_like(generator, seconds):
    """Noise that gets louder and softer, of falling spectrum."""
    noise = generator.standard_normal(int(seconds * RATE))
    samples = scipy.signal.lfilter([1.0], [1.0, -0.95], noise)
    loud = np.abs(np.sin(np.arange(len(samples)) / 4000))
    return (0.3 * loud * samples / np.abs(samples).max()).astype(np.float32)


def make_files(folder, suffix, generator):
    """A batch of utterances in a format; their table."""
    names = [f"{suffix}/{i}.{suffix}" for i in range(BATCH)]
    (folder / suffix).mkdir()
    for name in names:
        soundfile.write(folder / name, speech_like(generator, SECONDS), RATE)
    frames, zeros = np.full(BATCH, SECONDS * RATE), np.zeros(BATCH)
    return Utterances(names, names, frames, np.full(BATCH, RATE), zeros)


def make_banks(folder, generator):
    """The augmentation of `hparams/dino.yaml`, of banks like the real ones."""
    kinds = ["ambient", "music", "speech"] * 4
    paths = [folder / f"noise{i}.wav" for i in range(len(kinds))]
    for path in paths:
        soundfile.write(path, speech_like(generator, 10), RATE)
    write_bank(folder / "noise", paths, kinds, RATE)
    room = np.exp(-np.arange(8000) / 800) * generator.standard_normal(8000)
    soundfile.write(folder / "room.wav", 0.1 * room, RATE)
    write_bank(folder / "rirs", [folder / "room.wav"], ["rir"], RATE)
    return NoiseReverb(
        folder / "noise", folder / "rirs", choices=["noise", "reverb"]
    )


def utterances_per_second(data, batches):
    """Through a worker's whole work, the first batch not counted."""
    for epoch in range(batches + 1):
        if epoch == 1:
            started = time.process_time()
        collate([data[Key(i, epoch, 0)] for i in range(BATCH)])
    return batches * BATCH / (time.process_time() - started)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        augment = make_banks(folder, generator)
        for suffix in ("wav", "flac", "ogg"):
            table = make_files(folder, suffix, generator)
            figures = {}
            for name, drawn in (("plain", None), ("augmented", augment)):
                views = [View(2, 4.0, drawn), View(4, 2.0, drawn)]
                data = CropDataset(table, folder, views, 0, RATE)
                speed = utterances_per_second(data, options.batches)
                figures[f"{name}_per_second"] = round(speed)
            report("data_path", format=suffix, **figures)


if __name__ == "__main__":
    main()
