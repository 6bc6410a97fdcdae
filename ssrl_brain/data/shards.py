"""Members of tar files, read where they lie; nothing is unpacked.

A member goes by a place, ``shard-000003.tar/@1536+24000/id1/a/00001.wav``: its
tar, where its bytes begin, how many they are, its name. That is a path as
tables of utterances hold them, so that whatever reads a table reads tars as
well, and no process needs an index of a million members.

Small members are read at once, with the header before them: that is one request
to a network disk, and no slower from memory than a file object over a part of
the tar, see ``benchmarks/data_path.py``. A mapped tar that gets shorter would
kill the process.
"""

import functools
import io
import os
import posixpath
import re
import resource
import tarfile

from ssrl_brain.data.audio_readers import AudioError

PLACE = re.compile(r"(.*?\.tar)/@(\d+)\+(\d+)/(.+)", re.IGNORECASE | re.DOTALL)
NUMBERS = re.compile(r"(^|\.tar/)@\d+\+\d+/", re.IGNORECASE)
BLOCK = 512  # of a tar: its headers are one long
WHOLE_BYTES = 1 << 20  # members up to this size are read at once
BUFFER_BYTES = 1 << 17  # of larger ones, as much as systems read ahead
CHANGED = "its tar has changed since it was prepared"


def max_open_tars():
    """Tars that a process keeps open: a quarter of the files that it may."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return 512
    return min(512, max(4, limit // 4))


def read_at_random(descriptor):
    """Has the system read no more of a file than it is asked for.

    Left alone it reads ahead, a third more where members are read at random.
    """
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)


class Tar:
    """An open tar; closed when nobody refers to it any more."""

    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY)
        read_at_random(self.file)

    def __del__(self):
        if hasattr(self, "file"):
            os.close(self.file)

    def read(self, size, offset):
        """Bytes at a place, whoever else reads; fewer at the end only."""
        return os.pread(self.file, size, offset)


@functools.lru_cache(max_open_tars())
def _tar(path):
    return Tar(path)


def close_tars():
    """Forgets the open tars: by now their names may belong to others."""
    _tar.cache_clear()


class Whole(io.BytesIO):
    """The bytes of a member, with its place as ``name``."""

    def __init__(self, content, name):
        super().__init__(content)
        self.name = name


class Part(io.RawIOBase):
    """Part of a tar as a file of its own, with its place as ``name``."""

    def __init__(self, tar, offset, size, name):
        self.tar, self.offset, self.size, self.name = tar, offset, size, name
        self.position = 0

    def readable(self):
        """It is."""
        return True

    def seekable(self):
        """It is."""
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        """As of any file."""
        origin = (0, self.position, self.size)[whence]
        self.position = max(0, origin + offset)
        return self.position

    def readinto(self, buffer):
        """As of any file."""
        count = max(0, min(len(buffer), self.size - self.position))
        content = self.tar.read(count, self.offset + self.position)
        buffer[: len(content)] = content
        self.position += len(content)
        return len(content)


def place_of(tar, offset, size, name):
    """Place of a member, relative to what the tar is relative to.

    Example
    -------
    >>> place_of("a.tar", 512, 8, "b/c.wav"), place_of("", 512, 8, "c.wav")
    ('a.tar/@512+8/b/c.wav', '@512+8/c.wav')
    """
    return (
        f"{tar}/@{offset}+{size}/{name}" if tar else f"@{offset}+{size}/{name}"
    )


def shown(path):
    """A path without numbers, for readers.

    Example
    -------
    >>> shown("x/a.tar/@512+8/b/c.wav"), shown("@512+8/c.wav"), shown("b/c.wav")
    ('x/a.tar/b/c.wav', 'c.wav', 'b/c.wav')
    """
    return NUMBERS.sub(r"\1", path, count=1)


def size_and_time(path):
    """Size in bytes and time of change in ns of a file or of a member."""
    found = PLACE.fullmatch(os.fspath(path))
    status = os.stat(found[1] if found else path)
    return int(found[3]) if found else status.st_size, status.st_mtime_ns


def open_member(path):
    """Opens a member of a tar.

    Arguments
    ---------
    path : str
        A place, or the path of any other file.

    Returns
    -------
    file object or None
        With ``read``, ``readinto``, ``seek``, ``tell`` and ``name``; None for
        any other file.

    Raises
    ------
    AudioError
        If it is not there any more.
    OSError
        If the tar cannot be read.

    Example
    -------
    >>> path = str(getfixture("tmp_path") / "a.tar")
    >>> with tarfile.open(path, "w") as tar:
    ...     info = tarfile.TarInfo("b/c.wav")
    ...     info.size = 5
    ...     tar.addfile(info, io.BytesIO(b"sound"))
    >>> open_member(f"{path}/@512+5/b/c.wav").read()
    b'sound'
    >>> open_member("b/c.wav")
    """
    found = PLACE.fullmatch(os.fspath(path))
    if found is None:
        return None
    tar, offset, size = _tar(found[1]), int(found[2]), int(found[3])
    begin = offset - BLOCK
    if size > WHOLE_BYTES:
        check_header(tar.read(BLOCK, begin), size, found[4])
        return io.BufferedReader(Part(tar, offset, size, path), BUFFER_BYTES)
    content = memoryview(tar.read(BLOCK + size, begin))  # one request
    check_header(bytes(content[:BLOCK]), size, found[4])
    if len(content) < BLOCK + size:
        raise AudioError("its tar is shorter than when it was prepared")
    return Whole(content[BLOCK:], path)


def check_header(block, size, name):
    """Raises AudioError unless a block is the header of a member."""
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise AudioError(CHANGED) from error
    # From 8 GiB on the size, and of a long name the rest, are further ahead.
    told = name.isascii() and len(name) < 90
    if header.size not in (size, 0) or told and plain(header.name) != name:
        raise AudioError(CHANGED)


def plain(name):
    """Name of a member as a path in its one form.

    Example
    -------
    >>> plain("./id1//a/./1.wav")
    'id1/a/1.wav'
    """
    return posixpath.normpath(name)
