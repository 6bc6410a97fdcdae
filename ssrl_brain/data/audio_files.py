"""Files of audio below a folder: which there are, and which can be used.

Nothing here writes to the folder that holds the audio.
"""

import hashlib
import os
import re
import stat
from typing import NamedTuple

import numpy as np
import soundfile

SUFFIXES = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aiff .aif .aifc .au .snd .caf .w64 .rf64"
    " .sph".split()
)
UNREADABLE_SUFFIXES = frozenset([".m4a", ".mp4", ".aac", ".wma", ".webm"])
EXCERPT_SECONDS = 0.1
MAX_LEVEL = 1e6  # of floats; the power of a sample must not overflow
BLOCK_FRAMES = 1 << 18
# Programs that write to a pipe cannot know the length: they leave about 2 or
# 4 GB in the header, which promises nothing.
UNKNOWN_LENGTH = 0x7FFF0000
NO_LENGTH = 1 << 60  # libsndfile's answer for FLAC written to a pipe
HEADER_BYTES = 64  # some programs count the header as well
CUT_OFF = re.compile(
    r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M
)


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
        text = why_not_opened(path) or text or "damaged"
        return AudioCheck(0, 0, f"unreadable: {text}")


def why_not_opened(path):
    """The system's word for a file that it does not open, else ""."""
    try:
        open(path, "rb").close()
    except OSError as error:
        return error.strerror
    return ""


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
    """Why samples are of no use; "" if they are. Reads everything."""
    audio.seek(0)
    lowest, highest = np.inf, -np.inf
    while len(block := audio.read(BLOCK_FRAMES, "float32", always_2d=True)):
        block = block.mean(1)
        if not np.isfinite(block).all():
            return "NaN or infinite"
        lowest = min(lowest, block.min())
        highest = max(highest, block.max())
    if max(-lowest, highest) > MAX_LEVEL:
        return "far beyond full scale"
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
