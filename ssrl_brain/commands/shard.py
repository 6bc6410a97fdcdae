"""Packs a folder of audio into tar shards, for network disks.

    python shard.py --data_folder=/data/voxceleb \\
        --output_folder=/data/voxceleb_shards

A million small files are a million requests to a network disk before the first
sample is read. The shards, some hundred tars in the layout of WebDataset, are
given to any command as its --data_folder. They hold the files as they are, by
their paths; the same audio gives the same bytes. Tars appear whole or not at
all; the same command goes on with an interrupted run. What cannot be read is
named in failed.csv; it is an error only if nothing could be.
"""

import argparse
import functools
import os

from ssrl_brain.data.conversion import FAILED
from ssrl_brain.data.sharding import shard_tree


def main(arguments):
    """Packs; returns the numbers of tars and files."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    folder = functools.partial(add, required=True, type=os.path.expanduser)
    folder("--data_folder", help="audio, which is only read")
    folder("--output_folder", help="elsewhere, new or ours")
    add("--shard_megabytes", type=float, default=1000, help="at most, 1000")
    add("--num_workers", type=int, help="processes; default: all processors")
    add("--debug", action="store_true", help="errors with their traceback")
    options = vars(parser.parse_args(arguments))
    del options["debug"]
    counts = shard_tree(**options)
    text = ", ".join(f"{number:,} {what}" for what, number in counts.items())
    where = f" (listed in {FAILED})" if counts["failed"] else ""
    print(f"{options['output_folder']}: {text}{where}")
    return counts
