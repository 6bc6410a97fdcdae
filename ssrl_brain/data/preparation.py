"""What the preparation of any corpus shares: listing and checking audio,
reading trial lists, and writing the prepared folder whole or not at all.

Nothing here writes to the folder that holds the audio.
"""

import contextlib
import csv
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import re
import shutil
import stat
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
import soundfile
from speechbrain.utils.logger import get_logger
from tqdm import tqdm

logger = get_logger(__name__)

SUMMARY = "prepared.json"  # written last: its presence says "finished"
SUFFIXES = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aiff .aif .aifc .au .snd .caf .w64 .rf64"
    " .sph".split()
)
UNREADABLE_SUFFIXES = frozenset([".m4a", ".mp4", ".aac", ".wma", ".webm"])
EXCERPT_SECONDS = 0.1
BLOCK_FRAMES = 1 << 18
# Programs that write to a pipe cannot know the length: they leave about 2 or
# 4 GB in the header, which promises nothing.
UNKNOWN_LENGTH = 0x7FFF0000
NO_LENGTH = 1 << 60  # libsndfile's answer for FLAC written to a pipe
HEADER_BYTES = 64  # some programs count the header as well
CUT_OFF = re.compile(
    r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M
)
LABELS = {"1": 1, "0": 0, "target": 1, "nontarget": 0}


class Entry(NamedTuple):
    """One utterance of a corpus, as its path tells; speaker may be None."""

    path: str
    id: str
    session: str
    speaker: str | None


class Listing(NamedTuple):
    """Audio files of a folder; paths relative to it, with ``/``, sorted."""

    files: dict  # path -> (size in bytes, time of change in ns)
    unreadable: list  # paths of formats that libsndfile cannot read
    excluded: list  # (path, reason): names no table can hold, broken links


class AudioCheck(NamedTuple):
    """Length of a file, and why it cannot be used ("" if it can)."""

    num_frames: int
    sample_rate: int
    reason: str


def split_suffix(path):
    """Path without its audio extension, and that extension in lower case.

    Example
    -------
    >>> split_suffix("id1/a.b/00001.WAV")
    ('id1/a.b/00001', '.wav')
    >>> split_suffix("id1/a.b/00001")
    ('id1/a.b/00001', '')
    """
    stem, suffix = os.path.splitext(path)
    known = suffix.lower() in SUFFIXES | UNREADABLE_SUFFIXES
    return (stem, suffix.lower()) if known else (path, "")


def list_audio(folder, key="data_folder"):
    """Lists the audio below a folder in an order that never varies.

    Hidden files are ignored; links are followed, each folder is visited once.

    Arguments
    ---------
    folder : str or pathlib.Path
        Where to look.
    key : str
        Name of the option that gave the folder, for the error message.

    Returns
    -------
    Listing

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{key} {folder} does not exist: give --{key}=/path/to/audio"
        )
    files, unreadable, excluded = {}, [], []
    seen, to_visit = set(), [("", os.fspath(folder))]
    while to_visit:
        prefix, current = to_visit.pop()
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:  # a link to a known folder
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(current) as items:
            items = sorted(items, key=lambda item: item.name, reverse=True)
        for item in items:
            path = prefix + item.name
            suffix = os.path.splitext(item.name)[1].lower()
            if item.name.startswith("."):
                continue
            try:
                status = item.stat()
            except OSError as error:  # a link to nothing or to itself
                if suffix in SUFFIXES:
                    reason = f"unreadable: {error.strerror}"
                    excluded.append((path, reason))
                continue
            if stat.S_ISDIR(status.st_mode):
                to_visit.append((path + "/", item.path))
            elif suffix not in SUFFIXES | UNREADABLE_SUFFIXES:
                continue
            elif not is_writable_name(path):
                excluded.append((path, "name cannot be written to a table"))
            elif suffix in UNREADABLE_SUFFIXES:
                unreadable.append(path)
            else:
                files[path] = (status.st_size, status.st_mtime_ns)
    files = {path: files[path] for path in sorted(files)}
    return Listing(files, sorted(unreadable), sorted(excluded))


def is_writable_name(name):
    """Whether a name survives a text table: UTF-8 on a single line.

    Example
    -------
    >>> is_writable_name("Übung 1.wav"), is_writable_name("a\\nb.wav")
    (True, False)
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(name.splitlines()) == 1 and "\0" not in name


def printable(name):
    r"""Any name as text for a message or a table.

    Example
    -------
    >>> printable("a\nb.wav")
    'a\\nb.wav'
    """
    if is_writable_name(name):
        return name
    return name.encode("unicode_escape", "backslashreplace").decode("ascii")


def fingerprint(listing):
    """Digest of names, sizes and times; another one means another corpus."""
    digest = hashlib.sha256()
    for path, (size, changed) in listing.files.items():
        digest.update(f"{path}\t{size}\t{changed}\n".encode())
    for path in listing.unreadable:
        digest.update(f"{path}\n".encode())
    for path, reason in listing.excluded:
        digest.update(f"{printable(path)}\t{reason}\n".encode())
    return digest.hexdigest()


def default_num_workers():
    """Number of processors this process may use, 16 at most."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return min(16, len(os.sched_getaffinity(0)))
    return min(16, os.cpu_count() or 1)


def parallel_map(function, items, num_workers=None, description="", chunk=64):
    """Yields ``function(item)`` in order, computed by several processes.

    Only a few chunks are under way at any time, so results that are consumed
    slowly do not pile up in memory.

    Arguments
    ---------
    function : callable
        A module-level function or a partial of one.
    items : list
        Its arguments.
    num_workers : int, optional
        Number of processes; 1 works in this one; default: all processors.
    description : str
        Text before the progress bar.
    chunk : int
        Number of items handed to a process at once.

    Yields
    ------
    object
        One result per item.
    """
    num_workers = num_workers or default_num_workers()
    chunks = [items[i : i + chunk] for i in range(0, len(items), chunk)]
    with tqdm(
        total=len(items), desc=description, disable=None, leave=False
    ) as bar:
        if num_workers == 1 or len(chunks) < 2:
            for item in items:
                yield function(item)
                bar.update()
            return
        # Forked workers start at once; elsewhere than on Linux it is unsafe.
        context = multiprocessing.get_context(
            "fork" if sys.platform == "linux" else None
        )
        with ProcessPoolExecutor(
            num_workers, context, initializer=exit_with_parent
        ) as pool:
            pending = deque()
            try:
                for part in chunks:
                    pending.append(pool.submit(apply_to_all, function, part))
                    if len(pending) < 4 * num_workers:
                        continue
                    results = pending.popleft().result()
                    yield from results
                    bar.update(len(results))
                while pending:
                    results = pending.popleft().result()
                    yield from results
                    bar.update(len(results))
            finally:
                for future in pending:
                    future.cancel()


def exit_with_parent():
    """Ends a worker whose parent is killed; it would wait for ever."""
    sentinel = multiprocessing.parent_process().sentinel

    def watch():
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def apply_to_all(function, items):
    """A list of results; module-level, so that processes can import it."""
    return [function(item) for item in items]


def check_audio(path, min_seconds=1.0, silence_level=1e-4):
    """Reads as little of a file as tells whether it can be trained on.

    Arguments
    ---------
    path : str
        Audio file.
    min_seconds : float
        Shorter files are refused.
    silence_level : float
        A file is silent if its samples, averaged over channels, never leave
        a band of this half-width (full scale is 1).

    Returns
    -------
    AudioCheck
    """
    try:
        if os.path.getsize(path) == 0:
            return AudioCheck(0, 0, "empty")
        with soundfile.SoundFile(path) as audio:
            reason = reason_to_exclude(audio, min_seconds, silence_level)
            return AudioCheck(audio.frames, audio.samplerate, reason)
    except (OSError, RuntimeError) as error:  # LibsndfileError is the latter
        text = " ".join(str(error).replace(path, "").split())
        text = text.replace("Error opening '': ", "")
        return AudioCheck(0, 0, f"unreadable: {text or 'damaged'}")


def reason_to_exclude(audio, min_seconds, silence_level):
    """Why an open sound file cannot be used; "" if it can."""
    if audio.frames == 0:
        return "empty"
    if audio.frames >= NO_LENGTH:
        return "unreadable: its header does not tell its length"
    length = min(audio.frames, max(1, int(EXCERPT_SECONDS * audio.samplerate)))
    try:
        tail = read_mono(audio, audio.frames - length, length)
    except RuntimeError:
        return "truncated"
    if len(tail) < length or is_cut_off(audio.extra_info):
        return "truncated"
    if audio.frames < min_seconds * audio.samplerate:
        return "too short"
    if audio.subtype in ("FLOAT", "DOUBLE"):  # PCM has no NaN
        return whole_file_reason(audio, silence_level)
    if np.ptp(tail) >= 2 * silence_level:
        return ""
    for part in (0.5, 0.25, 0.75, 0.0):
        excerpt = read_mono(audio, int(part * (audio.frames - length)), length)
        if len(excerpt) and np.ptp(excerpt) >= 2 * silence_level:
            return ""
    return whole_file_reason(audio, silence_level)


def whole_file_reason(audio, silence_level):
    """ "silent", "NaN or infinite" or "", after reading everything."""
    audio.seek(0)
    lowest, highest = np.inf, -np.inf
    while len(block := audio.read(BLOCK_FRAMES, "float32", always_2d=True)):
        block = block.mean(1)
        if not np.isfinite(block).all():
            return "NaN or infinite"
        lowest = min(lowest, block.min())
        highest = max(highest, block.max())
    return "silent" if highest - lowest < 2 * silence_level else ""


def read_mono(audio, start, length):
    """Average of the channels of an excerpt of an open file."""
    audio.seek(start)
    return audio.read(length, "float32", always_2d=True).mean(1)


def is_cut_off(header_log):
    """Whether libsndfile found fewer samples than the header promises.

    Example
    -------
    >>> is_cut_off("data : 64000 (should be 38382)")
    True
    >>> is_cut_off("data : 4294967295 (should be 64000)")
    False
    """
    found = CUT_OFF.search(header_log)
    if found is None:
        return False
    promised, present = map(int, found.groups())
    return present + HEADER_BYTES < promised < UNKNOWN_LENGTH


def iterate_trials(path):
    """Yields (line number, label, enrol, test) of a trial list.

    Raises
    ------
    ValueError
        In one line, with list, line number and what is wrong.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[0].lower() not in LABELS:
            raise ValueError(
                f"{path}, line {number}: expected 'label enrol test' with"
                f" label 1 or 0, found {line.strip()[:80]!r}"
            )
        yield number, LABELS[fields[0].lower()], fields[1], fields[2]


def read_trials(path):
    """Reads a list of verification trials, "label enrol test" per line.

    Arguments
    ---------
    path : str or pathlib.Path
        Text file; label is 1 or 0 (or target, nontarget).

    Returns
    -------
    labels : np.ndarray
        (num_trials,) 1 for the same speaker, 0 for different ones.
    enrol : list of str
        First utterance of each trial.
    test : list of str
        Second utterance of each trial.

    Raises
    ------
    FileNotFoundError
        If there is no such list.
    ValueError
        If a line is malformed or there is none.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"trial list {path} does not exist")
    trials = list(iterate_trials(path))
    if not trials:
        raise ValueError(f"trial list {path} has no trials")
    _, labels, enrol, test = zip(*trials, strict=True)
    return np.array(labels), list(enrol), list(test)


def write_table(path, header, rows):
    """Writes a CSV file with a header."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def files_below(folder):
    """Size of every file below a folder, by relative path."""
    folder = pathlib.Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


def write_summary(folder, made_from, counts):
    """Finishes a prepared folder: writes ``prepared.json``.

    Arguments
    ---------
    folder : pathlib.Path
        The folder, all other files in place.
    made_from : dict
        Options and fingerprints that decided about its contents.
    counts : dict
        What was found.
    """
    files = files_below(folder)
    summary = {"made_from": made_from, "counts": counts, "files": files}
    (folder / SUMMARY).write_text(
        json.dumps(summary, indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )


def read_summary(folder):
    """``prepared.json`` of a prepared folder; {} if there is none."""
    path = pathlib.Path(folder) / SUMMARY
    if not path.is_file():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): remove the folder {folder}"
        ) from None


def is_current(folder, made_from):
    """Whether a folder was made from exactly this and is still complete.

    Arguments
    ---------
    folder : str or pathlib.Path
        A prepared folder, or where one would be.
    made_from : dict
        Options and fingerprints that decide about its contents.
    """
    summary = read_summary(folder)
    if summary.get("made_from") != made_from:
        return False
    present = files_below(folder)
    return all(present.get(k) == v for k, v in summary["files"].items())


@contextlib.contextmanager
def whole_or_absent(folder):
    """Gives a temporary sibling that takes the folder's place on success.

    What an interrupted run left behind is removed first. One process at a
    time may prepare a folder.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to make; an earlier one is replaced, unless it holds files
        that preparation did not write.

    Yields
    ------
    pathlib.Path
        Empty folder to write into.

    Raises
    ------
    ValueError
        If replacing the folder would delete somebody else's files.
    """
    folder = pathlib.Path(os.path.realpath(folder))
    refuse_foreign_files(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    replaced = folder.with_name(f".{folder.name}.replaced")
    for leftover in (partial, replaced):
        if leftover.exists():
            logger.info(f"Removing {leftover}, left by an interrupted run")
            shutil.rmtree(leftover)
    partial.mkdir()
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial)
        raise
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    if replaced.exists():
        shutil.rmtree(replaced)


def refuse_foreign_files(folder):
    """Raises ValueError if a folder holds what preparation did not write."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"prepared_folder {folder} is a file, not a folder")
    if not folder.exists():
        return
    own = {SUMMARY, *read_summary(folder).get("files", {})}
    foreign = sorted(
        path
        for path in set(files_below(folder)) - own
        if not path.rsplit("/", 1)[-1].startswith(".")
    )
    if foreign:
        raise ValueError(
            f"prepared_folder {folder} holds {printable(foreign[0])}, which"
            " preparation did not write: remove it or choose another folder"
        )
