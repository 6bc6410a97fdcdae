#!/usr/bin/env python3
"""Time of changing pitch and tempo, alone and in the data path.

    OMP_NUM_THREADS=1 python benchmarks/speed_perturb.py

Alone: milliseconds for a second of speech, of crops of 4 s. In the data path:
milliseconds for an utterance of 8 s (16-bit WAV) with the crops of
`hparams/dino.yaml` (2 x 4 s + 4 x 2 s), no noise or reverberation, with both
switched off, and with half of the utterances shifted and half of the crops
stretched.
"""

import argparse
import itertools
import statistics
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import report, seconds_each

from ssrl_brain.data.perturb import Sometimes, pitch_shift, time_stretch
from ssrl_brain.data.sampler import Key
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import CropDataset, View

RATE = 16000
NUM_UTTERANCES = 20


def make_data(folder, prob):
    """Data set of the utterances in a folder."""
    names = [f"{i}.wav" for i in range(NUM_UTTERANCES)]
    table = Utterances(
        names,
        names,
        [8 * RATE] * NUM_UTTERANCES,
        np.full(NUM_UTTERANCES, RATE),
        np.zeros(NUM_UTTERANCES),
    )
    tempo = Sometimes(prob, [0.9, 1.1], otherwise=1)
    views = [
        View(n, s, spread=True, tempo=tempo) for n, s in ((2, 4.0), (4, 2.0))
    ]
    pitch = Sometimes(prob, [-200, 200], otherwise=0)
    return CropDataset(table, folder, views, 0, RATE, pitch=pitch)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.1, 8 * RATE).astype(np.float32)
    crop = noise[: 4 * RATE]
    figures = {}
    for name, function, value in (
        ("pitch_up", pitch_shift, 200),
        ("pitch_down", pitch_shift, -200),
        ("tempo_slower", time_stretch, 0.9),
        ("tempo_faster", time_stretch, 1.1),
    ):
        times = seconds_each(lambda f=function, v=value: f(crop, v), 2, repeats)
        figures[f"{name}_ms_per_second"] = 1000 * statistics.median(times) / 4
    with tempfile.TemporaryDirectory() as folder:
        for i in range(NUM_UTTERANCES):
            soundfile.write(Path(folder) / f"{i}.wav", noise, RATE)
        for name, prob in (("off", 0.0), ("on", 0.5)):
            data, epochs = make_data(folder, prob), itertools.count()

            def read_all(data=data, epochs=epochs):
                epoch = next(epochs)
                for index in range(NUM_UTTERANCES):
                    data[Key(index, epoch, 0)]

            times = seconds_each(read_all, 1, repeats)
            figures[f"utterance_{name}_ms"] = (
                1000 * statistics.median(times) / NUM_UTTERANCES
            )
    report("speed_perturb", **{k: round(v, 2) for k, v in figures.items()})


if __name__ == "__main__":
    main()
