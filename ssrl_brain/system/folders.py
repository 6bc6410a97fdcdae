"""Folders that may be written: new ones, empty ones, and those of ours.

Every folder that this package writes goes through here. One is replaced only
if it is of the same kind and holds nothing else, see ``ssrl_brain.system.ours``;
nothing is written at, in, or above a folder that is read.
"""

import contextlib
import itertools
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from speechbrain.utils.logger import get_logger

from ssrl_brain.system.files import naming_failed_writes
from ssrl_brain.system.ours import (
    MARKER,
    REPLACED,
    entries_below,
    foreign,
    mark,
)

logger = get_logger(__name__)


class Output(NamedTuple):
    """A folder to be written: the option that gives it, its path and kind."""

    key: str
    path: str
    kind: str


# ------------------------------- what is read --------------------------------


def identities(path):
    """What a path is, then each folder above it; the same through any link."""
    real = Path(os.path.realpath(path))
    found = []
    for place in (real, *real.parents):
        try:
            status = place.stat()
            found.append((status.st_dev, status.st_ino))
        except OSError:  # not there yet
            found.append(str(place))
    return found


def relation(path, other):
    """How a path lies to another: "is", "lies in", "holds", or None.

    Example
    -------
    >>> relation("/a/b/c", "/a/b"), relation("/a", "/a/b")
    ('lies in', 'holds')
    >>> relation("/a/b/../b", "/a/b"), relation("/a/bc", "/a/b")
    ('is', None)
    """
    own, others = identities(path), identities(other)
    if own[0] == others[0]:
        return "is"
    if others[0] in own:
        return "lies in"
    return "holds" if own[0] in others else None


def check(inputs, outputs):
    """Refuses to write anywhere but where it does no harm; writes nothing.

    Arguments
    ---------
    inputs : dict
        Folders that are read, by option; None for those that are not given.
    outputs : list of Output
        Folders that will be written.

    Raises
    ------
    ValueError
        In one line: which option, why, and the remedy.
    """
    for key, path, _ in outputs:
        for source, read in inputs.items():
            how = read and relation(path, read)
            if how:
                raise ValueError(
                    f"{key} {path} {how} {source} {read}, which is only read: "
                    f"give another --{key}"
                )
        for other, place, its_kind in outputs:
            how = relation(path, place) if its_kind in REPLACED else None
            if how in ("is", "lies in") and (key, path) != (other, place):
                raise ValueError(
                    f"{key} {path} {how} {other} {place}, which is replaced as "
                    f"a whole: give another --{key}"
                )
    for key, path, kind in outputs:
        # preparation looks for more, but only where it has to prepare again
        why = foreign(path, kind, thorough=kind != "prepared")
        if why:
            raise ValueError(
                f"{key} {path} {why}: give a new or an empty folder as --{key}"
            )


# -------------------------------- replacing ----------------------------------


@contextlib.contextmanager
def atomic_folder(folder, kind):
    """A temporary sibling that takes the folder's place on success.

    What a killed run left behind is put right first, so only one process at a
    time may write a folder, see ``ssrl_brain.system.locks.locked``.

    Arguments
    ---------
    folder : str or Path
        Replaced as a whole if it exists; where a link leads to, if it is one.
    kind : str
        One of ``KINDS``, which the folder must be of.

    Yields
    ------
    Path
        Empty folder to write into.

    Raises
    ------
    ValueError
        If what is there is not ours.
    OSError
        If it cannot be written, naming it; what was there before stays.

    Example
    -------
    >>> root = Path(getfixture("tmp_path"))
    >>> with atomic_folder(root / "labels", "labels") as temporary:
    ...     _ = (temporary / "a.txt").write_text("whole")
    >>> (root / "labels" / "a.txt").read_text()
    'whole'
    """
    folder = Path(os.path.realpath(folder))
    _refuse(folder, kind)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    replaced = folder.with_name(f".{folder.name}.replaced")
    recover(folder, kind)
    partial.mkdir()
    try:
        with naming_failed_writes(folder):
            mark(partial, kind, files=None)
            yield partial
            mark(partial, kind, entries_below(partial) - {MARKER})
    except BaseException:
        shutil.rmtree(partial)
        raise
    if folder.exists():
        folder.rename(replaced)
    partial.rename(folder)
    _remove(replaced, kind, folder)


def recover(folder, kind):
    """Puts right what a killed run left of a folder and its siblings.

    Arguments
    ---------
    folder : Path
    kind : str

    Raises
    ------
    ValueError
        If a sibling has the name of a leftover, and is none.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    replaced = folder.with_name(f".{folder.name}.replaced")
    for leftover in (partial, replaced):
        if os.path.lexists(leftover):
            _refuse(leftover, kind, "move it out of the way")
    if replaced.exists() and not folder.exists():
        logger.info(f"Putting back {folder}, which an interrupted run moved")
        replaced.rename(folder)
    for leftover in (partial, replaced):
        if leftover.exists():
            logger.info(f"Removing {leftover}, left by an interrupted run")
            _remove(leftover, kind, folder)


def _refuse(folder, kind, remedy="give a new or an empty folder"):
    why = foreign(folder, kind)
    if why:
        raise ValueError(f"{folder} {why}: {remedy}")


def _remove(folder, kind, name):
    """Removes a folder of ours, its marker last; what is not ours is kept."""
    if not folder.exists():
        return
    why = foreign(folder, kind)
    if why:  # put there while the new one was made
        kept = next(
            place
            for number in itertools.count(1)
            if not (place := Path(f"{name}.old-{number}")).exists()
        )
        folder.rename(kept)
        logger.warning(f"The former folder is kept as {kept}: it {why}")
        return
    for path in folder.iterdir():
        if path.name == MARKER:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.rmtree(folder)


def remove(folder, kind):
    """Removes a folder, if there is one, and if it is ours.

    Arguments
    ---------
    folder : str or Path
    kind : str

    Raises
    ------
    ValueError
        If it is not.
    """
    folder = Path(folder)
    _refuse(folder, kind)
    _remove(folder, kind, folder)
