"""Writes the report of a chain or a run: one HTML file, opened offline.

    python report.py results/mini
    python report.py results/ssrl results/two_stage --output=compared.html

Works on what is there: a run may be half-finished, without trial lists or
without known speakers. Several folders are compared by their EER over
training time. By default the file is report.html in the first folder. It holds short
clips of some utterances, so that clusters can be listened to: --no_audio leaves
the voices out.
"""

import argparse
from os.path import expanduser

from ssrl_brain.report.write import write_report


def main(arguments):
    """Writes the file; returns its path."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", nargs="+", type=expanduser, help="of a chain or a run"
    )
    parser.add_argument("--output", type=expanduser, help="file to write")
    parser.add_argument(
        "--no_audio", action="store_true", help="no clips of utterances"
    )
    parser.add_argument(
        "--faces",
        type=int,
        default=0,
        metavar="N",
        help="of an audio-visual run: shows faces of the N largest clusters",
    )
    parser.add_argument("--debug", action="store_true", help="full traceback")
    given = parser.parse_args(arguments)
    path = write_report(
        given.folder, given.output, not given.no_audio, given.faces
    )
    print(f"Report: {path}")
    return path
