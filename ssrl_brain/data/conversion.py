"""Decoding a tree of audio into another folder, file by file."""

import functools
import os
from pathlib import Path

from speechbrain.utils.logger import get_logger

from ssrl_brain.data.audio_files import (
    list_audio,
    no_audio,
    printable,
    why_unreadable,
)
from ssrl_brain.data.preparation import (
    default_num_workers,
    parallel_map,
    write_table,
)
from ssrl_brain.data.prepare import folder
from ssrl_brain.data.transcoding import DONE_BEFORE, convert_file
from ssrl_brain.data.utterances import MAX_RATE
from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.system.folders import relation
from ssrl_brain.system.locks import locked

logger = get_logger(__name__)

FORMATS = ("flac", "wav")
RECORD = "converted.json"  # written first: a folder with it is ours
FAILED = "failed.csv"


def convert_tree(
    data_folder,
    output_folder,
    format="flac",
    sample_rate=16000,
    num_workers=None,
):
    """Decodes all audio below a folder to mono 16-bit files in another one.

    Places are kept: ``a/b.m4a`` becomes ``a/b.flac``, or ``a/b.m4a.flac``
    where ``a/b.wav`` is there as well. Files appear whole or not at all, and
    those that are there since an earlier run are left alone, unless their
    original changed. What cannot be decoded is named in ``failed.csv``.

    Arguments
    ---------
    data_folder : str
        Folder of audio; it is only read.
    output_folder : str
        A new folder, or one of an earlier run with the same options.
    format : str
        "flac" or "wav".
    sample_rate : int
        In Hz.
    num_workers : int, optional
        Number of processes; default: all processors.

    Returns
    -------
    dict
        Number of files ``converted``, ``done before`` and ``failed``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder of audio.
    ValueError
        If an option is wrong, the output folder is another's, or nothing at
        all could be converted.
    OSError
        If a file cannot be written.
    """
    if format not in FORMATS:
        raise ValueError(
            f"--format={format} is unknown: choose {' or '.join(FORMATS)}"
        )
    if not 1000 <= sample_rate <= MAX_RATE:
        raise ValueError(
            f"--sample_rate={sample_rate} is no rate in Hz: give 16000 or the "
            "like"
        )
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"--num_workers={num_workers} must be at least 1")
    listing = list_audio(data_folder)
    refuse_nested(data_folder, output_folder)
    paths = sorted([*listing.files, *listing.unreadable])
    if not paths and not listing.excluded:
        raise ValueError(no_audio(data_folder))
    targets = {
        entry.path: os.path.join(output_folder, f"{entry.id}.{format}")
        for entry in folder.entries(paths)
    }
    jobs = [
        (os.path.join(data_folder, listing.place(path)), target)
        for path, target in targets.items()
        if path in listing.files
    ]
    failed = list(listing.excluded)
    failed += [(path, why_unreadable(path)) for path in listing.unreadable]
    with locked(output_folder):
        now = {
            "data_folder": os.path.realpath(data_folder),
            "format": format,
            "sample_rate": sample_rate,
        }
        begin_folder(output_folder, RECORD, now, "conversion")
        converted = done_before = 0
        results = parallel_map(
            functools.partial(convert_file, sample_rate=sample_rate),
            jobs,
            num_workers,
            "Converting",
            chunk_size(len(jobs), num_workers),
        )
        for path, reason in zip(listing.files, results, strict=True):
            if reason is DONE_BEFORE:
                done_before += 1
            elif reason:
                failed.append((path, reason))
            else:
                converted += 1
        write_failed(Path(output_folder), failed)
        orphans = without_original(output_folder, format, targets.values())
    if not converted and not done_before:
        raise ValueError(
            f"none of {len(failed):,} files in {data_folder} could be "
            f"converted, the first {printable(failed[0][0])}: {failed[0][1]}; "
            f"all are in {output_folder}/{FAILED}"
        )
    if orphans:
        logger.warning(
            "%s holds %d files whose original is no longer in %s, the first "
            "%s: they are left there, remove what is not to be used",
            output_folder,
            len(orphans),
            data_folder,
            printable(orphans[0]),
        )
    return {
        "converted": converted,
        "done before": done_before,
        "failed": len(failed),
    }


def without_original(output_folder, format, targets):
    """Converted files, sorted, that no file of the data would become."""
    found = Path(output_folder).rglob(f"*.{format}")
    targets = set(map(Path, targets))
    return sorted(
        str(path)
        for path in found
        if path not in targets and not path.name.startswith(".")
    )


def chunk_size(num_jobs, num_workers):
    """Files that a process gets at once: few, for some may be long."""
    num_workers = num_workers or default_num_workers()
    return max(1, min(64, num_jobs // (8 * num_workers)))


def refuse_nested(data_folder, output_folder):
    """Raises ValueError if output lies in, at or above what is read."""
    how = relation(output_folder, data_folder)
    if how:
        raise ValueError(
            f"output_folder {output_folder} {how} data_folder {data_folder}, "
            "which is only read: give another --output_folder"
        )


def begin_folder(output_folder, record, now, words):
    """Makes an output folder ours, or makes sure that it is.

    Arguments
    ---------
    output_folder : str
    record : str
        Name of the file in it that says what it was made with.
    now : dict
        The same of this run: plain values by option.
    words : str
        What a run is, for messages.

    Returns
    -------
    dict
        The record, perhaps with more in it than ``now``.

    Raises
    ------
    ValueError
        If it holds something else, or was made with other options.
    """
    target = Path(output_folder)
    if target.exists() and not target.is_dir():
        raise ValueError(f"output_folder {target} is a file, not a folder")
    before = read_json(target / record)
    if before is None and target.exists() and os.listdir(target):
        raise ValueError(
            f"output_folder {target} is not empty and not of an earlier "
            f"{words}: choose a new folder"
        )
    if before is None:
        write_json(target / record, now)
        return now
    differ = [
        f"{key}={before.get(key)}" for key in now if before.get(key) != now[key]
    ]
    if differ:
        raise ValueError(
            f"output_folder {target} was made with {', '.join(differ)}: "
            "choose a new folder"
        )
    return before


def write_failed(target, failed):
    """Lists what could not be converted; the table appears as a whole."""
    partial = target / f".{FAILED}.partial"
    rows = sorted((printable(path), reason) for path, reason in failed)
    write_table(partial, ["path", "reason"], rows)
    partial.replace(target / FAILED)
