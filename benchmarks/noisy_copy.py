#!/usr/bin/env python3
"""A copy of the utterances of the trial lists, with noise and in other rooms.

    python benchmarks/noisy_copy.py --prepared_folder=results/prepared \\
        --data_folder=/data/voxceleb --output=/data/noisy
    python verify.py --data_folder=/data/noisy --trial_lists=... \\
        --encoder_folder=results/contrastive/export --output_folder=results/noisy

For asking how an encoder does where recordings differ more than those of the
corpus do. Every utterance gets noise, a room, or both, by the preparation's
own banks, which are those that training draws from. Written as 16 bit wav under
the names that the trial lists use; an output that exists is refused.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from tqdm import tqdm

from ssrl_brain.data.audio import length_at, read_excerpts
from ssrl_brain.data.augment import NoiseReverb, apply_plan, rows_of
from ssrl_brain.data.utterances import Utterances

RATE = 16000


def disturbed(samples, augment, generator):
    """(T,) samples with what ``augment`` draws, as loud as before.

    Example
    -------
    >>> draw = lambda length, _: (np.ones(length), np.float32(0), np.zeros(3))
    >>> disturbed(np.float32([1, -1]), draw, None).round(2)
    array([1.41, 0.  ], dtype=float32)
    """
    noise, snr, rir = augment(len(samples), generator)
    mixed = apply_plan(
        torch.from_numpy(samples)[None],
        rows_of([noise.astype(np.float32)]),
        torch.tensor([snr]),
        rows_of([rir.astype(np.float32)]),
    )
    return mixed[0].numpy()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared_folder", required=True)
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--output", required=True, help="a new folder")
    parser.add_argument("--snr", default="5,15", help="lowest, highest, dB")
    parser.add_argument("--seed", type=int, default=1986)
    options = parser.parse_args()
    prepared, output = Path(options.prepared_folder), Path(options.output)
    augment = NoiseReverb(
        prepared / "noise",
        prepared / "rirs",
        prob=1.0,
        snr=[float(x) for x in options.snr.split(",")],
        sample_rate=RATE,
    )
    if len(augment.choices) < 3:
        sys.exit(f"error: {prepared} lacks a bank of noise or of rooms")
    output.mkdir(parents=True)
    generator = np.random.default_rng(options.seed)
    table = Utterances.from_csv(prepared / "test.csv")
    for row in tqdm(range(len(table)), disable=None):
        frames, rate = table.num_frames[row], table.sample_rates[row]
        length = length_at(frames, rate, RATE)
        path = os.path.join(options.data_folder, table.paths[row])
        samples = read_excerpts(path, [0], length, frames, rate, RATE)[0]
        target = output / Path(table.paths[row]).with_suffix(".wav")
        target.parent.mkdir(parents=True, exist_ok=True)
        noisy = disturbed(samples, augment, generator)
        loudest = max(1.0, float(np.abs(noisy).max()))
        soundfile.write(target, noisy / loudest, RATE, "PCM_16")


if __name__ == "__main__":
    main()
