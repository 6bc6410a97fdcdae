"""Which audio is in tar files: their headers, read once."""

import json
import os
import tarfile
from typing import NamedTuple

from ssrl_brain.data.audio_readers import FFMPEG_SUFFIXES, SUFFIXES
from ssrl_brain.data.preparation import parallel_map
from ssrl_brain.data.shards import BLOCK, plain, read_at_random
from ssrl_brain.data.tree import leads_out
from ssrl_brain.system.files import read_json, write_text

INDEX = "tars.json"  # in a prepared folder: what its tars hold
COMPRESSED = (
    ".tar.gz .tgz .tar.bz2 .tbz .tbz2 .tar.xz .txz .tar.zst .tar.lz4".split()
)
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x04\x22M")
PADDING = 1 << 20  # no tar has as many zeros at its end
UNPACK = "compressed tar, to be decompressed first"


class Contents(NamedTuple):
    """Audio of a tar of some size and time."""

    size: int
    changed: int  # ns
    members: list  # [name, offset, size], names relative to the tar's folder
    excluded: list  # [name, reason]; without a name: of the tar itself


def is_tar(name):
    """Whether a file is called like a tar, a compressed one as well."""
    return name.lower().endswith((".tar", *COMPRESSED))


def real_path(folder):
    """Where links lead; a tar keeps the name by which it is known for one.

    That of the Hugging Face cache is a link to a file without a suffix.
    """
    if not (is_tar(os.fspath(folder)) and os.path.isfile(folder)):
        return os.path.realpath(folder)
    parent, name = os.path.split(os.path.abspath(folder))
    return os.path.join(os.path.realpath(parent), name)


def contents_of(folder, tars, known=None):
    """Reads the headers of tars that are new or have changed.

    Arguments
    ---------
    folder : str
    tars : dict
        (size, time of change in ns) by path relative to the folder; "" is the
        folder, which then is a tar itself.
    known : dict, optional
        What was returned before.

    Returns
    -------
    dict
        Contents by path.
    """
    known = known or {}
    found = {
        path: known[path]
        for path, (size, changed) in tars.items()
        if path in known and known[path][:2] == (size, changed)
    }
    new = [path for path in tars if path not in found]
    read = parallel_map(
        read_headers,
        [os.path.join(folder, path) if path else str(folder) for path in new],
        description="Reading tars",
        chunk=1,
    )
    for path, (members, excluded) in zip(new, read, strict=True):
        found[path] = Contents(*tars[path], members, excluded)
    return {path: found[path] for path in sorted(tars)}


def read_headers(path):
    """Audio of a tar: its ``members`` and what is ``excluded``.

    A tar that breaks off or is damaged keeps what lies before that.
    """
    members, excluded = {}, []
    if not path.lower().endswith(".tar"):
        return [], [["", UNPACK]]
    try:
        # No buffer: network disks have the system read a megabyte a header.
        with open(path, "rb", buffering=0) as file:
            read_at_random(file.fileno())
            try:
                scan(file, members, excluded)
            except Exception as error:  # damaged headers raise anything
                if isinstance(error, OSError):
                    raise
                excluded.append(["", why_no_tar(file, len(members))])
    except OSError as error:
        excluded.append(["", f"unreadable: {error.strerror}"])
    if not members and not excluded:
        excluded.append(["", "tar without audio"])
    return [[name, *place] for name, place in members.items()], excluded


def scan(file, members, excluded):
    """Adds what the headers of an open tar say; raises where they end badly."""
    end = os.fstat(file.fileno()).st_size
    with tarfile.open(fileobj=file, mode="r:") as tar:
        while (info := tar.next()) is not None:
            tar.members.clear()  # it would keep a million of them
            if not is_audio(info.name) or info.isdir():
                continue
            reason = why_not(info, end)
            if reason:
                excluded.append([info.name, reason])
                continue
            name = plain(info.name)
            if name in members:
                excluded.append([name, "name twice in a tar: the last counts"])
            members[name] = (info.offset_data, info.size)
        # tarfile stops at what is no header, and is silent.
        file.seek(tar.offset)
        if file.read(BLOCK).strip(b"\0"):
            raise tarfile.ReadError("damaged")
        if file.read(PADDING).strip(b"\0"):
            excluded.append(["", "several tars in one: the first is used"])


def is_audio(name):
    """Whether a member is called like audio, and neither it nor a folder of
    it is hidden.
    """
    if any(x.startswith(".") and x not in (".", "..") for x in name.split("/")):
        return False
    suffix = os.path.splitext(name)[1].lower()
    return suffix in SUFFIXES or suffix in FFMPEG_SUFFIXES


def why_not(info, end):
    """Why a member cannot be used; "" if it can."""
    if info.issym() or info.islnk():
        return "link inside of a tar"
    if not info.isfile():
        return "no file inside of a tar"
    if info.issparse():
        return "sparse file inside of a tar"
    if leads_out(info.name):
        return "name leads out of the folder"
    if info.offset_data + info.size > end:
        return "truncated tar"
    return ""


def why_no_tar(file, num_members):
    """What is wrong with an open tar that cannot be read to its end."""
    file.seek(0)
    if file.read(8).startswith(PACKED):
        return UNPACK
    if not num_members:
        return "no tar, or a damaged one"
    return f"damaged or truncated tar: the first {num_members:,} files are used"


def write_index(path, tars):
    """Keeps what ``contents_of`` returned; nothing where that is nothing."""
    if tars:
        write_text(path, json.dumps(tars, separators=(",", ":")))


def read_index(path):
    """What ``write_index`` kept; {} where there is none, or it is damaged."""
    try:
        found = read_json(path) or {}
        return {tar: Contents(*contents) for tar, contents in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}  # the headers are read again
