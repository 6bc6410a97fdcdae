#!/usr/bin/env python3
"""Utterances a second that one reading process of other toolkits delivers.

    git clone https://github.com/wenet-e2e/wespeaker
    git clone https://github.com/theolepage/sslsv
    OMP_NUM_THREADS=1 python benchmarks/data_path_peers.py \\
        --wespeaker=wespeaker --sslsv=sslsv

The same work in each, by the toolkit's own code: wav files of 8 s in the page
cache, 2 x 3 s + 4 x 2 s of each, noise or a room on every crop, a batch of 32.
What comes out differs, so ours is there three times: `ours` are crops, and
beside them noise and rooms, which the training device mixes; `ours_mixed` are
waveforms, as of sslsv; `ours_features` are features, as of WeSpeaker, on the
same core. Noise recordings last as long as those of MUSAN, 195 s; sslsv is
given pieces of 5 s, as it asks for. WeSpeaker's lists of files are read by
soundfile, for torchaudio cannot any more, and its noise from memory instead of
LMDB. Our noise is of every kind, babble of up to eight speakers included,
that of the others one recording.

Toolkits take turns in one process, which keeps freed memory, as our train.py
does; seconds of its core are counted, the first batch left out.
"""

import argparse
import random
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from common import report
from data_path import (
    BATCH,
    RATE,
    SECONDS,
    batch_of,
    speech_like,
    utterances_per_second,
)
from dino_step import make_brain
from dino_step_peers import import_from

from ssrl_brain.data.augment import NoiseReverb, augmented
from ssrl_brain.data.bank import write_bank
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import CropDataset, View
from ssrl_brain.system.process import keep_freed_memory

NOISE_SECONDS = 195
KINDS = {"noise": "ambient", "music": "music", "speech": "speech"}


def make_corpus(folder, noise_seconds):
    """Utterances, noise and rooms, in the layout that sslsv reads."""
    generator = np.random.default_rng(0)

    def write(path, samples):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE, "PCM_16")

    for number in range(BATCH):
        write(folder / f"{number}.wav", speech_like(generator, SECONDS))
    for kind in KINDS:
        for number in range(2):
            noise = speech_like(generator, noise_seconds)
            write(folder / f"musan/{kind}/part/{number}.wav", noise)
            for start in range(0, noise_seconds - 5, 5):
                piece = noise[start * RATE : (start + 5) * RATE]
                name = f"musan_split/{kind}/part/{number}_{start}.wav"
                write(folder / name, piece)
    room = np.exp(-np.arange(8000) / 800) * generator.standard_normal(8000)
    write(folder / "simulated_rirs/small/Room001/1.wav", 0.1 * room)


def our_dataset(folder):
    """By bank, as preparation writes them."""
    noise = sorted(folder.glob("musan/*/*/*.wav"))
    kinds = [KINDS[path.parts[-3]] for path in noise]
    write_bank(folder / "noise", noise, kinds, RATE)
    rooms = sorted(folder.glob("simulated_rirs/*/*/*.wav"))
    write_bank(folder / "rirs", rooms, ["rir"] * len(rooms), RATE)
    augment = NoiseReverb(
        folder / "noise", folder / "rirs", prob=1.0, choices=["noise", "reverb"]
    )
    names = [f"{number}.wav" for number in range(BATCH)]
    table = Utterances(
        names,
        names,
        np.full(BATCH, SECONDS * RATE),
        np.full(BATCH, RATE),
        np.zeros(BATCH),
    )
    views = [View(2, 3.0, augment), View(4, 2.0, augment)]
    return CropDataset(table, folder, views, 0, RATE)


def ours_mixed(dataset, epoch):
    """Waveforms of each length."""
    return [augmented(view) for view in batch_of(dataset, epoch).views]


def ours_features(dataset, brain, epoch):
    """Mel features of each length."""
    return [brain.features(view) for view in batch_of(dataset, epoch).views]


def sslsv(repository, folder):
    """Padded waveforms, by sslsv/datasets/SSLDataset.py and torch's loader."""
    load = partial(import_from, repository, "sslsv")
    data = load("datasets.SSLDataset")
    augmentation = load("datasets.DataAugmentation")
    config = load("datasets.Dataset").DatasetConfig(
        ssl=True,
        ssl_dino_global_length=3 * RATE,
        ssl_dino_local_length=2 * RATE,
        frame_sampling=data.FrameSamplingEnum.DINO,
        augmentation=augmentation.DataAugmentationConfig(
            strategy=augmentation.DataAugmentationStrategyEnum.EITHER
        ),
        base_path=folder,
    )
    names = [f"{number}.wav" for number in range(BATCH)]
    dataset = data.SSLDataset(config, names, list(range(BATCH)))
    join = torch.utils.data.default_collate
    return lambda epoch: join([dataset[number] for number in range(BATCH)])


class InMemory:
    """Recordings as WeSpeaker's ``LmdbData`` hands them out."""

    def __init__(self, paths):
        self.items = [("/".join(x.parts[-3:]), x.read_bytes()) for x in paths]

    def random_one(self):
        """(key, content of a wav file)"""
        return random.choice(self.items)


def wespeaker(repository, folder):
    """Features, by wespeaker/ssl/dataset, as conf/ecapa_tdnn.yaml has it."""
    steps = import_from(repository, "wespeaker", "ssl.dataset.processor")
    data = import_from(repository, "wespeaker", "ssl.dataset.dataset")
    rooms = InMemory(sorted(folder.glob("simulated_rirs/*/*/*.wav")))
    noise = InMemory(sorted(folder.glob("musan/*/*/*.wav")))

    def read():
        for number in range(BATCH):
            wave, rate = soundfile.read(folder / f"{number}.wav", dtype="f4")
            yield {
                "key": str(number),
                "spk": "unknown",
                "wav": torch.from_numpy(wave)[None],
                "sample_rate": rate,
            }

    def batch(epoch):
        samples = steps.spk_to_id(read(), {})
        samples = steps.random_chunk_for_dino(
            samples, 3 * RATE, 2, 2 * RATE, 4, "raw"
        )
        samples = steps.add_reverb_noise(samples, rooms, noise, RATE, 1.0)
        samples = steps.compute_fbank(samples)
        return data.dino_collate_fn(list(steps.apply_cmvn(samples)))

    return batch


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--noise_seconds", type=int, default=NOISE_SECONDS)
    parser.add_argument("--wespeaker", help="folder of its repository")
    parser.add_argument("--sslsv", help="folder of its repository")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_corpus(folder, options.noise_seconds)
        dataset = our_dataset(folder)
        brain = make_brain(256, "cpu")
        batches = {
            "ours": partial(batch_of, dataset),
            "ours_mixed": partial(ours_mixed, dataset),
            "ours_features": partial(ours_features, dataset, brain),
        }
        if options.sslsv:
            batches["sslsv"] = sslsv(options.sslsv, folder)
        if options.wespeaker:
            batches["wespeaker"] = wespeaker(options.wespeaker, folder)
        report(
            "data_path_peers", **utterances_per_second(batches, options.rounds)
        )


if __name__ == "__main__":
    main()
