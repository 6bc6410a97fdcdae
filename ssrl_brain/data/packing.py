"""One tar of files as they are."""

import contextlib
import os
import stat
import tarfile
from typing import NamedTuple

from ssrl_brain.data.audio_readers import AudioError
from ssrl_brain.data.shards import BLOCK, open_member
from ssrl_brain.system.files import naming_failed_writes

COPY_BYTES = 1 << 20
END = bytes(2 * BLOCK)  # of a tar
CHANGED = (
    "has changed while it was packed: choose a new folder when nothing changes "
    "there any more"
)


class Source(NamedTuple):
    """A file to be packed."""

    path: str  # relative, the name of the member
    place: str  # where it is read
    size: int
    changed: int  # ns


def header(source):
    """What precedes a member: its name and size; nobody's, and of no time."""
    info = tarfile.TarInfo(source.path)
    info.size = source.size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8")


def padding(size):
    """Zeros after so many bytes."""
    return -size % BLOCK


def write_shard(job):
    """Writes a tar.

    Arguments
    ---------
    job : tuple
        Its path, and the list of its Sources.

    Returns
    -------
    int
        Its size.
    list
        [path, reason] of files that cannot be read.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        If a file has changed since it was listed.
    """
    path, sources = job
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name}.partial")
    failed = []
    with naming_failed_writes(path):
        try:
            with open(partial, "wb") as file:
                for source in sources:
                    before = file.tell()
                    try:
                        append(file, source)
                    except Unreadable as error:
                        file.seek(before)
                        file.truncate()
                        failed.append([source.path, str(error)])
                file.write(END)
                size = file.tell()
            os.replace(partial, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
    return size, failed


def append(file, source):
    """Adds a member to an open tar."""
    with naming_failed_reads():
        original = open_bytes(source)
    with original:
        file.write(header(source))
        left = source.size
        while left:
            with naming_failed_reads():
                content = original.read(min(left, COPY_BYTES))
            if not content:
                raise ValueError(f"{source.place} {CHANGED}")
            file.write(content)
            left -= len(content)
        file.write(bytes(padding(source.size)))


def open_bytes(source):
    """A file, or a member of a tar, that is still what was listed."""
    try:
        member = open_member(source.place)
    except AudioError as error:
        raise ValueError(f"{source.place}: {error}") from error
    if member is not None:
        return member
    # A named pipe would have one wait for ever.
    descriptor = os.open(source.place, os.O_RDONLY | os.O_NONBLOCK)
    file = open(descriptor, "rb", buffering=0)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise Unreadable("no regular file")
    if (status.st_size, status.st_mtime_ns) != source[2:]:
        file.close()
        raise ValueError(f"{source.place} {CHANGED}")
    return file


class Unreadable(Exception):
    """Why a file is left out."""


@contextlib.contextmanager
def naming_failed_reads():
    """Has an error of the system be that of a file that is read."""
    try:
        yield
    except OSError as error:
        raise Unreadable(f"unreadable: {error.strerror}") from error
