#!/usr/bin/env python3
"""Utterances that one reading process delivers in a second, by format.

    OMP_NUM_THREADS=1 python benchmarks/data_path.py

Utterances of 8 s (16 kHz, 16 bit), with the crops of `hparams/dino.yaml` (2 x
4 s + 4 x 2 s): decoded, cut, noise and rooms drawn, joined in batches of 32,
as a worker of the data loader does; mixing and features are the training
device's. `plain` is without noise and rooms. The files are in the page cache,
loose, and in tar shards. Seconds are those that the process was given, so that
a busy machine counts less, and files and shards take turns.

`data_path_excerpt`: milliseconds for 3 s from the middle of such an utterance,
of a file, and of a member of a tar that is read at once (what this package
does), by a file object over a part of the tar (the same, for members above 1
MB), or from the tar mapped into memory. `data_path_disk`: bytes that the disk is
asked for, per byte of the utterances, when none is in the page cache and half
of them are read in an order of chance, from shards also as if the system read
ahead (null where temporary files are not on a disk).
`data_path_listing`: seconds for a
million members of tars, whose headers are read, and known of before.
"""

import argparse
import functools
import io
import mmap
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
from common import report

from ssrl_brain.data import packing, shards
from ssrl_brain.data.audio_files import list_audio
from ssrl_brain.data.audio_readers import SndfileAudio
from ssrl_brain.data.augment import NoiseReverb
from ssrl_brain.data.bank import write_bank
from ssrl_brain.data.batches import collate
from ssrl_brain.data.decoding import open_audio, read_spans
from ssrl_brain.data.sampler import Key
from ssrl_brain.data.sharding import shard_tree
from ssrl_brain.data.tars import read_index, write_index
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
    """A batch of utterances in a format, loose and in a shard: their tables."""
    loose, packed = folder / f"{suffix}", folder / f"{suffix}_shards"
    loose.mkdir()
    for number in range(BATCH):
        samples = speech_like(generator, SECONDS)
        soundfile.write(loose / f"{number:02d}.{suffix}", samples, RATE)
    shard_tree(loose, packed)
    tables = {}
    for name, place in (("files", loose), ("shards", packed)):
        listing = list_audio(place)
        paths = [f"{place.name}/{listing.place(x)}" for x in listing.files]
        frames, zeros = np.full(BATCH, SECONDS * RATE), np.zeros(BATCH)
        tables[name] = Utterances(
            paths, paths, frames, np.full(BATCH, RATE), zeros
        )
    return tables


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


def batch_of(data, epoch):
    """A worker's whole work for a batch."""
    return collate([data[Key(i, epoch, 0)] for i in range(BATCH)])


def utterances_per_second(makers, batches):
    """Of functions from an epoch to its batch, in turns, the first not counted."""
    seconds = dict.fromkeys(makers, 0.0)
    for epoch in range(batches + 1):
        for name, make in makers.items():
            started = time.process_time()
            make(epoch)
            if epoch:
                seconds[name] += time.process_time() - started
    return {name: round(batches * BATCH / s) for name, s in seconds.items()}


def excerpt_milliseconds(folder, tables, rounds):
    """Least time of each way to read 3 s from the middle of an utterance."""
    places = [f"{folder}/{path}" for path in tables["shards"].paths]
    found = shards.PLACE.fullmatch(places[0])
    tar = shards.Tar(found[1])
    mapped = memoryview(mmap.mmap(tar.file, 0, prot=mmap.PROT_READ))

    def parts_of(place):
        _, offset, size, _ = shards.PLACE.fullmatch(place).groups()
        return int(offset), int(size)

    def in_parts(place):
        part = shards.Part(tar, *parts_of(place), place)
        return SndfileAudio(io.BufferedReader(part, shards.BUFFER_BYTES))

    def from_memory(place):
        offset, size = parts_of(place)
        return SndfileAudio(shards.Whole(mapped[offset : offset + size], place))

    ways = {
        "file": (open_audio, [f"{folder}/{x}" for x in tables["files"].paths]),
        "at_once": (open_audio, places),
        "in_parts": (in_parts, places),
        "mapped": (from_memory, places),
    }
    times = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (opener, paths) in ways.items():
            started = time.process_time()
            for path in paths:
                with opener(path) as audio:
                    read_spans(audio, [(SECONDS * RATE // 2, 3 * RATE)])
            times[name].append(time.process_time() - started)
    return {
        f"ms_{name}": round(1000 * min(spent) / BATCH, 3)
        for name, spent in times.items()
    }


def asked_of_disk(paths):
    """Bytes that a disk is asked for, per byte that is wanted."""
    shards.close_tars()
    for path in paths:
        place = shards.PLACE.fullmatch(path)
        with open(place[1] if place else path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    order = np.random.default_rng(0).permutation(len(paths))
    chosen = [paths[number] for number in order[: len(paths) // 2]]
    before = bytes_from_disk()
    for path in chosen:
        with shards.open_member(path) or open(path, "rb") as file:
            file.read()
    wanted = sum(shards.size_and_time(path)[0] for path in chosen)
    return round((bytes_from_disk() - before) / wanted, 2) or None


def disk_figures(folder, num_files=1000):
    """Of files of 8 s, of shards, and of shards if the system read ahead."""
    loose, packed = folder / "loose", folder / "packed"
    loose.mkdir(parents=True)
    for number in range(num_files):
        (loose / f"{number}.wav").write_bytes(os.urandom(2 * SECONDS * RATE))
    shard_tree(loose, packed, 100)
    advise = shards.read_at_random
    found = {}
    for name, place, advice in (
        ("files", loose, advise),
        ("shards", packed, advise),
        ("shards_reading_ahead", packed, lambda descriptor: None),
    ):
        shards.read_at_random = advice
        listing = list_audio(place)
        paths = [f"{place}/{listing.place(path)}" for path in listing.files]
        found[f"bytes_per_byte_{name}"] = asked_of_disk(paths)
    shards.read_at_random = advise
    return found


def bytes_from_disk():
    """What this process has had read so far."""
    with open("/proc/self/io") as file:
        return int(dict(line.split(": ") for line in file)["read_bytes"])


def listing_seconds(folder, num_members):
    """For a million members: headers that are read, and known ones."""
    folder.mkdir()
    content = bytes(1024)
    with open(folder / "a.tar", "wb") as file:
        for number in range(num_members):
            name = f"id{number // 100:05d}/21Uxsk56VDQ/{number:07d}.wav"
            file.write(packing.header(packing.Source(name, "", 1024, 0)))
            file.write(content)
        file.write(packing.END)
    started = time.process_time()
    listing = list_audio(folder)
    headers = time.process_time() - started
    write_index(folder / "index", listing.tars)
    started = time.process_time()
    list_audio(folder, known_tars=read_index(folder / "index"))
    known = time.process_time() - started
    scale = 1e6 / num_members
    return {
        "headers": round(headers * scale, 1),
        "known": round(known * scale, 1),
    }


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--members", type=int, default=50000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        augment = make_banks(folder, generator)
        for suffix in ("wav", "flac", "ogg"):
            tables = make_files(folder, suffix, generator)
            figures = {}
            for drawn in (None, augment):
                views = [View(2, 4.0, drawn), View(4, 2.0, drawn)]
                makers = {
                    name: functools.partial(
                        batch_of, CropDataset(table, folder, views, 0, RATE)
                    )
                    for name, table in tables.items()
                }
                speeds = utterances_per_second(makers, options.batches)
                for name, speed in speeds.items():
                    kind = "augmented" if drawn else "plain"
                    figures[f"{kind}_per_second_{name}"] = speed
            report("data_path", format=suffix, **figures)
            figures = excerpt_milliseconds(folder, tables, 3 * options.batches)
            report("data_path_excerpt", format=suffix, **figures)
        report("data_path_disk", **disk_figures(folder / "disk"))
        figures = listing_seconds(folder / "listing", options.members)
        report("data_path_listing", **figures)


if __name__ == "__main__":
    main()
