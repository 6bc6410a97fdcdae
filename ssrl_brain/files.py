"""Files and folders that are either whole or absent."""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path


@contextlib.contextmanager
def atomic_folder(folder):
    """A temporary sibling that takes the folder's place on success.

    Arguments
    ---------
    folder : str or Path
        Replaced as a whole if it exists.

    Yields
    ------
    Path
        Where to write.

    Example
    -------
    >>> root = Path(getfixture("tmp_path"))
    >>> with atomic_folder(root / "labels") as temporary:
    ...     _ = (temporary / "a.txt").write_text("whole")
    >>> (root / "labels" / "a.txt").read_text()
    'whole'
    """
    folder = Path(folder).absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(
        tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent)
    )
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            previous = temporary.with_suffix(".previous")
            folder.rename(previous)
            temporary.rename(folder)
            shutil.rmtree(previous)
        else:
            temporary.rename(folder)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)


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
