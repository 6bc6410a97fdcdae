"""Decoding a tree of audio into another folder, file by file."""

import contextlib
import errno
import functools
import math
import os
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly
from speechbrain.utils.logger import get_logger

from ssrl_brain.data.audio_files import (
    MAX_LEVEL,
    is_shorter_than_promised,
    list_audio,
    printable,
    why_unreadable,
)
from ssrl_brain.data.decoding import AudioError, blocks, open_audio
from ssrl_brain.data.preparation import (
    default_num_workers,
    parallel_map,
    write_table,
)
from ssrl_brain.data.prepare import folder
from ssrl_brain.data.utterances import MAX_RATE
from ssrl_brain.system.files import (
    locked,
    naming_failed_writes,
    read_json,
    write_json,
)

logger = get_logger(__name__)

FORMATS = ("flac", "wav")
RECORD = "converted.json"  # written first: a folder with it is ours
FAILED = "failed.csv"
DONE_BEFORE = None
SAME_TIME = 2_000_000_000  # ns; some disks keep times no better


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
        raise ValueError(f"{data_folder} holds no audio")
    jobs = [
        (
            os.path.join(data_folder, entry.path),
            os.path.join(output_folder, f"{entry.id}.{format}"),
        )
        for entry in folder.entries(paths)
        if entry.path in listing.files
    ]
    failed = list(listing.excluded)
    failed += [(path, why_unreadable(path)) for path in listing.unreadable]
    with locked(output_folder):
        begin(output_folder, data_folder, format, sample_rate)
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
    if not converted and not done_before:
        raise ValueError(
            f"none of {len(failed):,} files in {data_folder} could be "
            f"converted, the first {printable(failed[0][0])}: {failed[0][1]}; "
            f"all are in {output_folder}/{FAILED}"
        )
    return {
        "converted": converted,
        "done before": done_before,
        "failed": len(failed),
    }


def chunk_size(num_jobs, num_workers):
    """Files that a process gets at once: few, for some may be long."""
    num_workers = num_workers or default_num_workers()
    return max(1, min(64, num_jobs // (8 * num_workers)))


def refuse_nested(data_folder, output_folder):
    """Raises ValueError if output lies in, at or above what is read."""
    source = Path(os.path.realpath(data_folder))
    target = Path(os.path.realpath(output_folder))
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise ValueError(
            f"output_folder {output_folder} lies in, at or above data_folder "
            f"{data_folder}, which is never written to: choose a folder "
            "elsewhere"
        )


def begin(output_folder, data_folder, format, sample_rate):
    """Makes the output folder ours, or makes sure that it is."""
    target = Path(output_folder)
    if target.exists() and not target.is_dir():
        raise ValueError(f"output_folder {target} is a file, not a folder")
    now = {
        "data_folder": os.path.realpath(data_folder),
        "format": format,
        "sample_rate": sample_rate,
    }
    before = read_json(target / RECORD)
    if before is None and target.exists() and os.listdir(target):
        raise ValueError(
            f"output_folder {target} is not empty and not of an earlier "
            "conversion: choose a new folder"
        )
    if before is not None and before != now:
        differ = [
            f"{key}={before.get(key)}"
            for key in now
            if before.get(key) != now[key]
        ]
        raise ValueError(
            f"output_folder {target} was made with {', '.join(differ)}: "
            "choose a new folder"
        )
    if before is None:
        write_json(target / RECORD, now)


def write_failed(target, failed):
    """Lists what could not be converted; the table appears as a whole."""
    partial = target / f".{FAILED}.partial"
    rows = sorted((printable(path), reason) for path, reason in failed)
    write_table(partial, ["path", "reason"], rows)
    partial.replace(target / FAILED)


def convert_file(job, sample_rate):
    """Decodes one file, unless that was done.

    Arguments
    ---------
    job : tuple of str
        The original, and what to write; its suffix tells the format.
    sample_rate : int

    Returns
    -------
    str or None
        "" if it was converted, ``DONE_BEFORE``, or why it cannot be.

    Raises
    ------
    OSError
        If the result cannot be written.
    """
    source, target = job
    try:
        status = os.stat(source)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if is_current(target, status):
        return DONE_BEFORE
    if status.st_size == 0:
        return "empty"
    folder_name, name = os.path.split(target)
    partial = os.path.join(folder_name, f".{name}.partial")
    with naming_failed_writes(target):
        os.makedirs(folder_name, exist_ok=True)
        try:
            decode_to(partial, target, source, sample_rate)
            os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.replace(partial, target)
        except AudioError as error:
            return str(error)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
    return ""


def is_current(target, status):
    """Whether a file was made of an original that has not changed since."""
    try:
        made = os.stat(target).st_mtime_ns
    except FileNotFoundError:
        return False
    return abs(made - status.st_mtime_ns) < SAME_TIME


def decode_to(partial, target, source, sample_rate):
    """Writes an original; raises AudioError with the reason if it cannot.

    What exceeds full scale is written once more, scaled down to it.
    """
    gain = 1.0
    while True:
        try:
            audio = open_audio(source)
        except AudioError as error:
            raise AudioError(f"unreadable: {error}") from error
        except OSError as error:
            raise AudioError(f"unreadable: {error.strerror}") from error
        with audio:
            peak = write_resampled(partial, target, audio, sample_rate, gain)
        if peak <= 1:
            return
        gain /= peak * (1 + 1e-6)


def write_resampled(partial, target, audio, sample_rate, gain):
    """Writes an open file; returns the largest value before it was clipped."""
    num_frames, peak = 0, 0.0

    def sound():
        nonlocal num_frames
        for place, block in reasoned(blocks(audio)):
            num_frames = place + len(block)
            yield gain * block

    format = os.path.splitext(target)[1][1:]
    try:
        with soundfile.SoundFile(
            partial, "w", sample_rate, 1, "PCM_16", format=format
        ) as file:
            for block in resampled(sound(), audio.samplerate, sample_rate):
                peak = max(peak, level_of(block))
                file.write(block)
    except (RuntimeError, AssertionError) as error:  # libsndfile's, soundfile's
        raise OSError(
            errno.EIO, "cannot be written, is the disk full?", target
        ) from error
    if num_frames == 0:
        raise AudioError("empty")
    if is_shorter_than_promised(audio, num_frames):
        raise AudioError("truncated")
    return peak


def level_of(block):
    """Largest absolute value; AudioError if that makes no sense."""
    level = float(np.abs(block).max(initial=0.0))
    if not math.isfinite(level):
        raise AudioError("NaN or infinite")
    if level > MAX_LEVEL:
        raise AudioError("far beyond full scale")
    return level


def reasoned(parts):
    """The same parts; an AudioError among them as preparation words it."""
    try:
        yield from parts
    except AudioError as error:
        raise AudioError(f"unreadable: {error}") from error


def resampled(parts, sample_rate, target_rate):
    """Resamples a signal that comes in parts, as if it were in one.

    Arguments
    ---------
    parts : iterable of numpy.ndarray
        (n,) float32 each.
    sample_rate, target_rate : int

    Yields
    ------
    numpy.ndarray
        Parts of what ``scipy.signal.resample_poly`` makes of the whole.

    Example
    -------
    >>> parts = [np.ones(3, np.float32), np.ones(5, np.float32)]
    >>> sum(len(part) for part in resampled(parts, 16000, 8000))
    4
    """
    common = math.gcd(sample_rate, target_rate)
    up, down = target_rate // common, sample_rate // common
    if up == down:
        yield from parts
        return
    # The filter reaches over 10 periods of the lower rate; whole periods of
    # both rates keep each part where it belongs.
    reach = -(-10 * max(up, down) // up)
    reach = (reach // down + 1) * down
    skipped = reach * up // down
    kept = np.zeros(reach, np.float32)
    num_frames = num_made = 0
    for part in parts:
        num_frames += len(part)
        kept = np.concatenate([kept, part])
        ready = (len(kept) - 2 * reach) // down * down
        if ready <= 0:
            continue
        made = resample_poly(kept[: ready + 2 * reach], up, down)
        yield made[skipped : skipped + ready * up // down]
        num_made += ready * up // down
        kept = kept[ready:]
    made = resample_poly(np.pad(kept, (0, reach)), up, down)[skipped:]
    yield made[: -(-num_frames * up // down) - num_made]
