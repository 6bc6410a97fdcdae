#!/usr/bin/env python3
"""Utterances a second that reading processes can hand over at most.

    python benchmarks/hand_over.py

Batches as large as those of dino.yaml (two crops of 4 s and four of 2 s, each
with its noise), made at once instead of read: by the toolkit's way, where
PyTorch shares the memory of a batch while it is sent; as this package does;
and by a pipe, its way where no memory can be shared.
"""

import argparse
import functools
import statistics
import time

import torch
from common import report

from ssrl_brain.system.workers import ByPipe, hand_over

CROPS = ((2, 64000), (4, 32000))


class Batches(torch.utils.data.Dataset):
    """The same batch again and again, copied as collating would."""

    def __init__(self, batch_size, number):
        self.number = number
        self.views = [torch.zeros(batch_size, *crops) for crops in CROPS]

    def __len__(self):
        return self.number

    def __getitem__(self, index):
        return tuple(x + index for x in (*self.views, *self.views))


def by_pipe(batch):
    """A batch as where no memory can be shared."""
    return tuple(map(ByPipe, batch))


WAYS = {
    "toolkit": functools.partial(tuple),
    "shared": hand_over,
    "pipe": by_pipe,
}


def per_second(way, options):
    """Utterances a second, the first batches not counted."""
    loader = torch.utils.data.DataLoader(
        Batches(options.batch_size, options.batches),
        batch_size=None,
        collate_fn=WAYS[way],
        num_workers=options.num_workers,
    )
    warmup = 2 * options.num_workers
    for number, _ in enumerate(loader, start=1):
        if number == warmup:
            started = time.perf_counter()
    seconds = time.perf_counter() - started
    return (options.batches - warmup) * options.batch_size / seconds


def main():
    """Prints one line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--num_workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    found = {way: [] for way in WAYS}
    for _ in range(options.repeats):  # in turns, for the machine is busy
        for way in WAYS:
            found[way].append(per_second(way, options))
    report(
        "hand_over",
        batch_size=options.batch_size,
        num_workers=options.num_workers,
        utterances_per_second={
            way: round(statistics.median(x)) for way, x in found.items()
        },
    )


if __name__ == "__main__":
    main()
