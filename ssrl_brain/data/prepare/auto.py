"""Prepares a corpus: tables of utterances, trial lists and audio banks.

    python -m ssrl_brain.data.prepare.auto --data_folder=/data/voxceleb \\
        --prepared_folder=results/prepared --trial_lists=veri_test2.txt

The layout of the folder is found out. Running it again does nothing unless
an option or a file has changed. Every stage does it by itself.
"""

import argparse
import contextlib
import functools
import hashlib
import logging
import os

from speechbrain.utils.logger import get_logger

from ssrl_brain.data import frame_files
from ssrl_brain.data.audio_files import fingerprint, list_audio
from ssrl_brain.data.preparation import (
    keep_current,
    write_summary,
)
from ssrl_brain.data.prepare import cnceleb, folder, voxceleb
from ssrl_brain.data.prepare.banks import choose_rirs, list_bank, write_banks
from ssrl_brain.data.prepare.corpus import (
    check_entries,
    reasons_text,
    write_corpus,
)
from ssrl_brain.data.prepare.frames import CorpusFrames
from ssrl_brain.data.prepare.trials import find_trial_lists
from ssrl_brain.data.tars import (
    INDEX,
    read_index,
    real_path,
    write_index,
)
from ssrl_brain.system.files import read_json
from ssrl_brain.system.folders import Output, atomic_folder, check
from ssrl_brain.system.locks import locked, replacing
from ssrl_brain.system.ours import MARKER
from ssrl_brain.system.process import run

logger = get_logger(__name__)

FORMAT_VERSION = 1
LAYOUTS = {"voxceleb": voxceleb, "cnceleb": cnceleb, "folder": folder}


def prepare(
    data_folder,
    prepared_folder,
    trial_lists=(),
    noise_folder=None,
    rir_folder=None,
    layout="auto",
    min_seconds=1.0,
    silence_level=1e-4,
    sample_rate=16000,
    num_workers=None,
    skip_missing_trials=False,
    frames_folder=None,
    hold=None,
):
    """Makes the prepared folder, unless it is there and still right.

    Arguments
    ---------
    data_folder : str
        Folder of audio, loose or in tars, or one tar; it is only read.
    prepared_folder : str
        What to make; it appears whole or not at all.
    trial_lists : list of str or str, optional
        Files of "label enrol test" lines, in a list or separated by commas,
        sought in the working directory, then in ``data_folder``. Their
        speakers (where unknown: their utterances) are kept out of training.
    noise_folder : str, optional
        MUSAN, or any folder of noise.
    rir_folder : str, optional
        RIRS_NOISES, or any folder of room impulse responses.
    layout : str
        "voxceleb", "cnceleb", "folder", or "auto" to find out.
    min_seconds : float
        Shorter files are left out.
    silence_level : float
        Files that never leave this level are left out (full scale is 1).
    sample_rate : int
        Rate of the banks in Hz.
    num_workers : int, optional
        Number of processes; default: all processors.
    skip_missing_trials : bool
        Whether trials of audio that cannot be used are left out, counted and
        listed; otherwise they are an error.
    frames_folder : str, optional
        Faces: a folder of images or a video for each utterance, see
        ``ssrl_brain.data.frame_files``. Training utterances without are left
        out.
    hold : contextlib.ExitStack, optional
        Receives a lock: while it is held, no other process replaces the
        prepared folder.

    Raises
    ------
    FileNotFoundError
        If a folder or a trial list does not exist.
    ValueError
        If nothing is usable, a trial names a file that is not, the prepared
        folder is not ours to write, or another process reads it while it has
        to be made anew.
    """
    check(
        {
            "data_folder": data_folder,
            "noise_folder": noise_folder,
            "rir_folder": rir_folder,
            "frames_folder": frames_folder,
        },
        [Output("prepared_folder", prepared_folder, "prepared")],
    )
    if not data_folder:
        raise ValueError("give --data_folder=..., any folder of audio")
    index = os.path.join(prepared_folder, INDEX)
    listing = list_audio(data_folder, known_tars=read_index(index))
    layout = find_layout(layout, listing.files)
    trial_paths = find_trial_lists(trial_lists, data_folder)
    noise = list_bank(noise_folder, "noise_folder")
    rirs = list_bank(rir_folder, "rir_folder", choose_rirs)
    faces = CorpusFrames(frames_folder, num_workers) if frames_folder else None
    made_from = {
        "version": FORMAT_VERSION,
        "data_folder": real_path(data_folder),
        "data": fingerprint(listing),
        "layout": layout,
        "min_seconds": float(min_seconds),
        "silence_level": float(silence_level),
        "sample_rate": int(sample_rate),
        "trial_lists": {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in trial_paths.items()
        },
        "noise": noise and fingerprint(noise),
        "rirs": rirs and fingerprint(rirs),
    }
    if corpus := read_corpus(data_folder):
        made_from["corpus"] = corpus
    if skip_missing_trials:  # matters only then
        made_from["skip_missing_trials"] = True
    if faces is not None:
        made_from["frames"] = frame_files.fingerprint(faces.listing)
    if keep_current(prepared_folder, made_from, hold):
        logger.info(f"{prepared_folder} is up to date")
        return
    check_audio = functools.partial(
        check_entries,
        data_folder=data_folder,
        listing=listing,
        min_seconds=min_seconds,
        silence_level=silence_level,
        num_workers=num_workers,
    )
    with contextlib.ExitStack() as lock:
        lock.enter_context(locked(prepared_folder))
        if keep_current(prepared_folder, made_from, hold):
            logger.info(f"{prepared_folder} was prepared meanwhile")
            return
        if not lock.enter_context(replacing(f"{prepared_folder}/{MARKER}")):
            raise ValueError(
                f"prepared_folder {prepared_folder} is used by another run and "
                "was made with other options or audio: wait until that run has "
                "ended, or give another --prepared_folder"
            )
        logger.info(f"Preparing {data_folder}, layout: {layout}")
        with atomic_folder(prepared_folder, "prepared") as partial:
            counts = write_corpus(
                partial,
                data_folder,
                listing,
                LAYOUTS[layout],
                trial_paths,
                check_audio,
                skip_missing_trials,
                faces,
            )
            write_banks(
                partial,
                (noise_folder, noise),
                (rir_folder, rirs),
                sample_rate,
                num_workers,
            )
            write_index(partial / INDEX, listing.tars)
            write_summary(partial, made_from, counts)
        keep_current(prepared_folder, made_from, hold)
    logger.info(describe(counts))


def read_corpus(data_folder):
    """What a corpus says of itself in its ``corpus.json``; {} without one.

    Arguments
    ---------
    data_folder : str
        Perhaps with a ``corpus.json`` of "name", "language" (a code, or a
        list of them) and "synthetic" (true where nobody was recorded).

    Raises
    ------
    ValueError
        If that file is not such an object.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> read_corpus(folder)
    {}
    >>> _ = (folder / "corpus.json").write_text('{"language": "de"}')
    >>> read_corpus(folder)
    {'language': 'de'}
    """
    if not os.path.isdir(data_folder):  # a tar
        return {}
    found = read_json(os.path.join(data_folder, "corpus.json")) or {}
    if not isinstance(found, dict):
        raise ValueError(
            f"{data_folder}/corpus.json must be an object with name, language "
            "and synthetic, or be removed"
        )
    keys = ("name", "language", "synthetic")
    return {key: found[key] for key in keys if key in found}


def find_layout(name, paths):
    """Name of the layout; "auto" takes the one that most files belong to.

    Example
    -------
    >>> find_layout("auto", ["id1/a/1.wav", "wav/id2/b/1.wav", "noise.wav"])
    'voxceleb'
    >>> find_layout("auto", ["data/id00001/singing-01-002.flac"])
    'cnceleb'
    """
    if name == "auto":
        for layout in ("voxceleb", "cnceleb"):
            if 2 * len(LAYOUTS[layout].entries(paths)) > len(paths):
                return layout
        return "folder"
    if name not in LAYOUTS:
        raise ValueError(
            f"layout {name!r} is unknown: choose auto, {', '.join(LAYOUTS)}"
        )
    return name


def describe(counts):
    """One line about a prepared corpus.

    Example
    -------
    >>> counts = {"train": 2540, "train hours": 2.51, "train sessions": 1020}
    >>> describe(counts | {"test": 0, "left out": {"silent": 4}})
    '2,540 utterances, 2.5 h, 1,020 sessions; left out 4: 4 silent (listed in excluded.csv)'
    """
    text = (
        f"{counts['train']:,} utterances, {counts['train hours']:.1f} h,"
        f" {counts['train sessions']:,} sessions"
    )
    if "frames" in counts:
        text += f", {counts['frames']:,} frames"
    if counts["test"]:
        text += f"; {counts['test']:,} test utterances"
    if left_out := counts["left out"]:
        text += (
            f"; left out {sum(left_out.values()):,}: {reasons_text(left_out)}"
            " (listed in excluded.csv)"
        )
    return text


def main(arguments):
    """Runs ``prepare`` with arguments from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folder = functools.partial(parser.add_argument, type=os.path.expanduser)
    folder("--data_folder", required=True)
    folder("--prepared_folder", required=True)
    parser.add_argument("--layout", default="auto", help=f"{[*LAYOUTS]}")
    parser.add_argument("--trial_lists", default="", help="a.txt,b.txt")
    folder("--noise_folder", help="MUSAN or any noise")
    folder("--rir_folder", help="RIRS_NOISES or any rooms")
    folder("--frames_folder", help="images or videos of faces")
    parser.add_argument("--min_seconds", type=float, default=1.0)
    parser.add_argument("--silence_level", type=float, default=1e-4)
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--num_workers", type=int)
    parser.add_argument("--skip_missing_trials", action="store_true")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    prepare(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    run(main)
