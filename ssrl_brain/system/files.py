"""Files that are either whole or absent, and how they are read."""

import contextlib
import csv
import json
import os
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def naming_failed_writes(path):
    """Has the error of a failed write say where and why.

    A full disk is told without a name, by NumPy without the reason, and by
    PyTorch as a failed assertion.

    Arguments
    ---------
    path : str or Path
        What is being written.

    Raises
    ------
    OSError

    Example
    -------
    >>> with naming_failed_writes("a/b"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device: 'a/b'
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise OSError(
            f"{path} cannot be written, is the disk full? ({error})"
        ) from error
    except RuntimeError as error:
        if "inline_container" not in str(error):
            raise
        raise OSError(
            f"{path} cannot be written, is the disk full? (torch.save failed)"
        ) from error


def write_text(path, text):
    """Writes a file so that it is never seen half-written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with naming_failed_writes(path):
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
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not valid JSON ({error}): delete it and run again"
        ) from error


def read_table(path):
    """Reads a CSV file of which every row has as many fields as the header.

    Row by row, for a table of a hundred million does not fit the memory as
    lists of strings.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    header : list of str
    rows : iterator of list of str
        Raises as well, at the row that is at fault.

    Raises
    ------
    ValueError
        In one line that names the file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "table.csv"
    >>> _ = path.write_text("a,b\\n1,2\\n")
    >>> header, rows = read_table(path)
    >>> header, list(rows)
    (['a', 'b'], [['1', '2']])
    """
    lines = _lines(path)
    return next(lines), lines


def _lines(path):
    """Yields the header, [] of an empty file, and the rows."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            yield header
            for row in reader:
                if len(row) != len(header):
                    raise ValueError(f"{path} has a broken row: make it again")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a table in UTF-8: {error}") from None


def read_array(path, num_dims):
    """Reads a ``.npy`` file of finite numbers.

    Arguments
    ---------
    path : str or Path
    num_dims : int

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        In one line that names the file.
    """
    try:
        array = np.load(path, allow_pickle=False)
        finite = array.ndim == num_dims and np.isfinite(array).all()
    except FileNotFoundError:
        raise
    except Exception as error:  # bytes that are no array can raise anything
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not an array, or damaged ({reason}): make it again"
        ) from None
    if not finite:
        raise ValueError(
            f"{path} must hold finite numbers in {num_dims} dimensions: make "
            "it again"
        )
    return array
