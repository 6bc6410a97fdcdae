"""Files of audio below a folder: which there are, and which can be used.

Nothing here writes to the folder that holds the audio.
"""

import hashlib
import os
import re
import stat
from typing import NamedTuple

import numpy as np

from ssrl_brain.data.decoding import (
    FFMPEG_SUFFIXES,
    INSTALL_FFMPEG,
    NO_LENGTH,
    SUFFIXES,
    AudioError,
    blocks,
    has_ffmpeg,
    mono,
    open_audio,
)

ALL_SUFFIXES = SUFFIXES | FFMPEG_SUFFIXES
EXCERPT_SECONDS = 0.1
MAX_LEVEL = 1e6  # of floats; the power of a sample must not overflow
LOST_SECONDS = 0.5  # by which a file may be shorter than it promises
# Programs that write to a pipe cannot know the length: they leave about 2 or
# 4 GB in the header, which promises nothing.
UNKNOWN_LENGTH = 0x7FFF0000
HEADER_BYTES = 64  # some programs count the header as well
CUT_OFF = re.compile(
    r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M
)


class Listing(NamedTuple):
    """Audio files of a folder; paths relative to it, with ``/``, sorted."""

    files: dict  # path -> (size in bytes, time of change in ns)
    unreadable: list  # paths of formats that the missing extra would read
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
    known = suffix.lower() in ALL_SUFFIXES
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
    readable = ALL_SUFFIXES if has_ffmpeg() else SUFFIXES
    seen, to_visit = set(), [("", os.fspath(folder))]
    while to_visit:
        prefix, current = to_visit.pop()
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:  # a link to a known folder
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(current) as items:
                items = sorted(items, key=lambda item: item.name, reverse=True)
        except OSError as error:  # a folder that others keep to themselves
            if not prefix:
                raise
            excluded.append((prefix, f"unreadable: {error.strerror}"))
            continue
        for item in items:
            path = prefix + item.name
            suffix = os.path.splitext(item.name)[1].lower()
            if item.name.startswith("."):
                continue
            try:
                status = item.stat()
            except OSError as error:  # a link to nothing or to itself
                if suffix in readable:
                    reason = f"unreadable: {error.strerror}"
                    excluded.append((path, reason))
                continue
            if stat.S_ISDIR(status.st_mode):
                to_visit.append((path + "/", item.path))
            elif suffix not in ALL_SUFFIXES:
                continue
            elif not is_writable_name(path):
                excluded.append((path, "name cannot be written to a table"))
            elif suffix not in readable:
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
    if not name or is_writable_name(name):
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


def why_unreadable(path):
    """Reason to leave out one of ``Listing.unreadable``.

    Example
    -------
    >>> why_unreadable("a/00001.m4a")
    'm4a cannot be read: pip install .[m4a], or convert it'
    """
    suffix = path.rsplit(".", 1)[1]
    return f"{suffix} cannot be read: {INSTALL_FFMPEG}, or convert it"


def check_audio(path, min_seconds=1.0, silence_level=1e-4):
    """Reads as little of a file as tells whether it can be trained on.

    That is its end, and more where it is silent or made of floats. Compressed
    files are decoded as a whole, which alone tells their true length.

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
        with open_audio(path) as audio:
            check = check_ends if audio.seekable() else check_decoded
            return check(audio, min_seconds, silence_level)
    except AudioError as error:
        return AudioCheck(0, 0, f"unreadable: {error}")
    except OSError as error:
        return AudioCheck(0, 0, f"unreadable: {error.strerror}")


def check_ends(audio, min_seconds, silence_level):
    """AudioCheck of an open file in which seeking is exact."""
    reason = reason_to_exclude(audio, min_seconds, silence_level)
    return AudioCheck(audio.frames, audio.samplerate, reason)


def check_decoded(audio, min_seconds, silence_level):
    """AudioCheck of an open file that is decoded as a whole."""
    num_frames, lowest, highest = extremes(audio)
    rate = audio.samplerate
    if num_frames == 0:
        reason = "empty"
    elif is_shorter_than_promised(audio, num_frames):
        reason = "truncated"
    elif num_frames < min_seconds * rate:
        reason = "too short"
    else:
        reason = reason_of(lowest, highest, silence_level)
    return AudioCheck(num_frames, rate, reason)


def is_shorter_than_promised(audio, num_frames):
    """Whether an open file has fewer frames than its header says."""
    lost = 0 if audio.promised is None else audio.promised - num_frames
    return lost > LOST_SECONDS * audio.samplerate or is_cut_off(
        audio.extra_info
    )


def reason_to_exclude(audio, min_seconds, silence_level):
    """Why a file in which seeking is exact is of no use; "" if it is."""
    if audio.frames == 0:
        return "empty"
    if audio.frames >= NO_LENGTH:
        return "unreadable: its header does not tell its length"
    length = min(audio.frames, max(1, int(EXCERPT_SECONDS * audio.samplerate)))
    try:
        tail = read_mono(audio, audio.frames - length, length)
    except (AudioError, RuntimeError):
        return "truncated"
    if len(tail) < length or is_cut_off(audio.extra_info):
        return "truncated"
    if audio.frames < min_seconds * audio.samplerate:
        return "too short"
    if audio.subtype not in ("FLOAT", "DOUBLE"):  # others have no NaN
        parts = (0.5, 0.25, 0.75, 0.0)
        excerpts = (
            read_mono(audio, int(part * (audio.frames - length)), length)
            for part in parts
        )
        for excerpt in (tail, *excerpts):
            if len(excerpt) and np.ptp(excerpt) >= 2 * silence_level:
                return ""
    audio.seek(0)
    return reason_of(*extremes(audio)[1:], silence_level)


def extremes(audio):
    """(frames, lowest, highest sample) of the rest of an open file.

    The latter two are NaN where a sample is.
    """
    num_frames, lowest, highest = 0, np.inf, -np.inf
    for place, block in blocks(audio):
        num_frames = place + len(block)
        lowest = np.minimum(lowest, block.min())
        highest = np.maximum(highest, block.max())
    return num_frames, lowest, highest


def reason_of(lowest, highest, silence_level):
    """Why samples between two values are of no use; "" if they are.

    Example
    -------
    >>> reason_of(-0.1, 0.1, 1e-4), reason_of(0.3, 0.3, 1e-4)
    ('', 'silent')
    """
    if not np.isfinite((lowest, highest)).all():
        return "NaN or infinite"
    if max(-lowest, highest) > MAX_LEVEL:
        return "far beyond full scale"
    return "silent" if highest - lowest < 2 * silence_level else ""


def read_mono(audio, start, length):
    """Average of the channels of an excerpt of an open file."""
    audio.seek(start)
    return mono(audio.read(length))


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
