"""Files of audio below a folder: which there are, loose or in tars.

Nothing here writes to the folder that holds the audio.
"""

import hashlib
import os
import stat
from collections import Counter
from typing import NamedTuple

from ssrl_brain.data.audio_readers import (
    FFMPEG_SUFFIXES,
    INSTALL_FFMPEG,
    SUFFIXES,
    has_ffmpeg,
)
from ssrl_brain.data.shards import close_tars, place_of
from ssrl_brain.data.tars import contents_of, is_tar
from ssrl_brain.data.tree import walk

ALL_SUFFIXES = SUFFIXES | FFMPEG_SUFFIXES


class Listing(NamedTuple):
    """Audio files of a folder; paths relative to it, with ``/``, sorted.

    Those in tars are listed as if they had been unpacked beside their tar.
    """

    files: dict  # path -> (size in bytes, time of change in ns)
    unreadable: list  # paths of formats that the missing extra would read
    excluded: list  # (path, reason): names no table can hold, broken links
    places: dict  # path -> place, of those in tars, see ``shards``
    tars: dict  # path -> Contents, see ``tars``

    def place(self, path):
        """Where a listed file is read, relative to the folder."""
        return self.places.get(path, path)


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


def list_audio(folder, key="data_folder", with_tars=True, known_tars=None):
    """Lists the audio below a folder in an order that never varies.

    Hidden files are ignored; links are followed, each folder is visited once.

    Arguments
    ---------
    folder : str or pathlib.Path
        Where to look; it may be a tar itself.
    key : str
        Name of the option that gave the folder, for the error message.
    with_tars : bool
        Whether tars are looked into.
    known_tars : dict, optional
        ``Listing.tars`` of an earlier call: of tars that did not change the
        headers are not read again.

    Returns
    -------
    Listing

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    listing = Listing({}, [], [], {}, {})
    readable = ALL_SUFFIXES if has_ffmpeg() else SUFFIXES
    if with_tars and os.path.isfile(folder) and is_tar(os.fspath(folder)):
        tars = {"": stamp(os.stat(folder))}
    elif os.path.isdir(folder):
        tars = list_loose(folder, listing, readable)
    else:
        raise FileNotFoundError(
            f"{key} {folder} does not exist: give --{key}=/path/to/audio"
        )
    if with_tars:
        close_tars()  # what they held is about to be forgotten
        listing.tars.update(contents_of(folder, tars, known_tars))
        list_members(listing, readable)
    files = {path: listing.files[path] for path in sorted(listing.files)}
    return listing._replace(
        files=files,
        unreadable=sorted(listing.unreadable),
        excluded=sorted(listing.excluded),
    )


def no_audio(folder):
    """Message for a folder without audio: what it holds instead.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> no_audio(folder).removeprefix(str(folder))
    ' holds no audio: it is empty'
    >>> for name in ("a.parquet", "b.parquet", "README"):
    ...     (folder / name).touch()
    >>> no_audio(folder).removeprefix(str(folder))
    " holds no audio but 2 .parquet, 1 without suffix; see docs/data.md, 'Parquet'"
    """
    found = Counter()
    if os.path.isdir(folder):
        for _, items in walk(folder, lambda *refused: None):
            found.update(os.path.splitext(x.name)[1].lower() for x in items)
    if not found:
        return f"{folder} holds no audio: it is empty"
    held = ", ".join(
        f"{count:,} {suffix or 'without suffix'}"
        for suffix, count in found.most_common(3)
    )
    more = "; see docs/data.md, 'Parquet'" if found[".parquet"] else ""
    return f"{folder} holds no audio but {held}{more}"


def list_loose(folder, listing, readable):
    """Adds the files below a folder; returns its tars, as (size, time)."""
    tars = {}
    excluded = listing.excluded

    def refused(prefix, error):
        excluded.append((prefix, f"unreadable: {error.strerror}"))

    for prefix, items in walk(folder, refused):
        for item in items:
            path = prefix + item.name
            try:
                status = item.stat()
            except OSError as error:  # a link to nothing or to itself
                if suffix_of(path) in readable or is_tar(path):
                    reason = f"unreadable: {error.strerror}"
                    excluded.append((path, reason))
                continue
            if is_tar(path) and stat.S_ISREG(status.st_mode):
                tars[path] = stamp(status)
            elif suffix_of(path) in ALL_SUFFIXES:
                add(listing, readable, path, stamp(status))
    return tars


def list_members(listing, readable):
    """Adds the audio of tars, as if each were unpacked where it is.

    A loose file takes the place of a member of the same path; of members of
    several tars each is listed below the name of its tar.
    """
    loose = {*listing.files, *listing.unreadable}
    folders = {tar: tar[: tar.rfind("/") + 1] for tar in listing.tars}
    times = Counter(
        folders[tar] + name
        for tar, contents in listing.tars.items()
        for name, *_ in contents.members
    )
    for tar, contents in listing.tars.items():
        below = f"{tar}/" if tar else ""
        for name, reason in contents.excluded:
            path = below + name if name else tar or "."
            listing.excluded.append((path, reason))
        for name, offset, size in contents.members:
            path = folders[tar] + name
            if path in loose:
                listing.excluded.append((below + name, "in a tar and loose"))
                continue
            if times[path] > 1:
                path = below + name
            place = place_of(tar, offset, size, name)
            add(listing, readable, path, (size, contents.changed), place)


def add(listing, readable, path, size_and_time, place=None):
    """Adds a file called like audio to where it belongs."""
    if not is_writable_name(place or path):
        listing.excluded.append((path, "name cannot be written to a table"))
        return
    if place:
        listing.places[path] = place
    if suffix_of(path) in readable:
        listing.files[path] = size_and_time
    else:
        listing.unreadable.append(path)


def stamp(status):
    """(size in bytes, time of change in ns) of a file."""
    return status.st_size, status.st_mtime_ns


def suffix_of(path):
    """The last extension, in lower case."""
    return os.path.splitext(path)[1].lower()


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
    for path, place in listing.places.items():
        digest.update(f"{printable(path)}\t{printable(place)}\n".encode())
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
