"""Files of audio below a folder: which there are.

Nothing here writes to the folder that holds the audio.
"""

import hashlib
import os
from typing import NamedTuple

from ssrl_brain.data.audio_readers import (
    FFMPEG_SUFFIXES,
    INSTALL_FFMPEG,
    SUFFIXES,
    has_ffmpeg,
)
from ssrl_brain.data.tree import walk

ALL_SUFFIXES = SUFFIXES | FFMPEG_SUFFIXES


class Listing(NamedTuple):
    """Audio files of a folder; paths relative to it, with ``/``, sorted."""

    files: dict  # path -> (size in bytes, time of change in ns)
    unreadable: list  # paths of formats that the missing extra would read
    excluded: list  # (path, reason): names no table can hold, broken links


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

    def refused(prefix, error):
        excluded.append((prefix, f"unreadable: {error.strerror}"))

    for prefix, items in walk(folder, refused):
        for item in items:
            path = prefix + item.name
            suffix = os.path.splitext(item.name)[1].lower()
            try:
                status = item.stat()
            except OSError as error:  # a link to nothing or to itself
                if suffix in readable:
                    reason = f"unreadable: {error.strerror}"
                    excluded.append((path, reason))
                continue
            if suffix not in ALL_SUFFIXES:
                continue
            if not is_writable_name(path):
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
    return name.splitlines() == [name] and "\0" not in name


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
