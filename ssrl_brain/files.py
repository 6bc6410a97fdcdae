"""Files and folders that are either whole or absent."""

import contextlib
import json
import os
import shutil
from pathlib import Path

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


@contextlib.contextmanager
def atomic_folder(folder):
    """A temporary sibling that takes the folder's place on success.

    What a killed run left behind is removed first, so only one process at a
    time may write a folder.

    Arguments
    ---------
    folder : str or Path
        Replaced as a whole if it exists; where a link leads to, if it is one.

    Yields
    ------
    Path
        Empty folder to write into.

    Raises
    ------
    ValueError
        If there is a file of that name.

    Example
    -------
    >>> root = Path(getfixture("tmp_path"))
    >>> with atomic_folder(root / "labels") as temporary:
    ...     _ = (temporary / "a.txt").write_text("whole")
    >>> (root / "labels" / "a.txt").read_text()
    'whole'
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file, not a folder: remove it")
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


def write_text(path, text):
    """Writes a file so that it is never seen half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes plain Python values; raises ValueError for nan or infinity."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path):
    """Reads what ``write_json`` wrote; None if there is no such file."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}): delete it and run again"
        ) from error
