"""Decodes a folder of audio into another folder: mono FLAC of 16 kHz.

    python convert.py --data_folder=/data/voxceleb2_m4a \\
        --output_folder=/data/voxceleb2

For formats that are slow to read, or cannot be read, again and again: m4a,
mp4, webm (`pip install .[m4a]`), and long recordings in ogg, opus or mp3.
Folders and names stay: id00012/21Uxsk56VDQ/00001.m4a becomes
id00012/21Uxsk56VDQ/00001.flac. Files appear whole or not at all; the same
command goes on with an interrupted run and does what is new or changed. What
cannot be decoded is named in failed.csv; it is an error only if nothing could
be.
"""

import argparse
import functools
import os

from ssrl_brain.data.conversion import FAILED, FORMATS, convert_tree


def main(arguments):
    """Converts; returns the numbers of files."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    folder = functools.partial(add, required=True, type=os.path.expanduser)
    folder("--data_folder", help="audio, which is only read")
    folder("--output_folder", help="elsewhere, new or ours")
    add("--format", default="flac", help=" or ".join(FORMATS))
    add("--sample_rate", type=int, default=16000, help="in Hz")
    add("--num_workers", type=int, help="processes; default: all processors")
    add("--debug", action="store_true", help="errors with their traceback")
    options = vars(parser.parse_args(arguments))
    del options["debug"]
    counts = convert_tree(**options)
    text = ", ".join(f"{number:,} {what}" for what, number in counts.items())
    where = f" (listed in {FAILED})" if counts["failed"] else ""
    print(f"{options['output_folder']}: {text}{where}")
    return counts
