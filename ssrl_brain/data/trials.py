"""Lists of verification trials, one "label enrol test" per line."""

import os
import pathlib

import numpy as np

LABELS = {"1": 1, "0": 0, "target": 1, "nontarget": 0}


def iterate_trials(path):
    """Yields (line number, label, enrol, test) of a trial list.

    Raises
    ------
    ValueError
        In one line, with list, line number and what is wrong.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[0].lower() not in LABELS:
            raise ValueError(
                f"{path}, line {number}: expected 'label enrol test' with"
                f" label 1 or 0, found {line.strip()[:80]!r}"
            )
        yield number, LABELS[fields[0].lower()], fields[1], fields[2]


def lacking(labels):
    """Which trials a list lacks for error rates; None if it has both kinds.

    Arguments
    ---------
    labels : array_like
        (M,) 1 for the same speaker, 0 for different ones.

    Returns
    -------
    str or None

    Example
    -------
    >>> lacking([1, 1]), lacking([0, 1])
    ('trials of different speakers', None)
    """
    labels = np.asarray(labels)
    if not (labels == 1).any():
        return "trials of the same speaker"
    return None if (labels == 0).any() else "trials of different speakers"


def read_trials(path):
    """Reads a list of verification trials, "label enrol test" per line.

    Arguments
    ---------
    path : str or pathlib.Path
        Text file; label is 1 or 0 (or target, nontarget).

    Returns
    -------
    labels : np.ndarray
        (num_trials,) 1 for the same speaker, 0 for different ones.
    enrol : list of str
        First utterance of each trial.
    test : list of str
        Second utterance of each trial.

    Raises
    ------
    FileNotFoundError
        If there is no such list.
    ValueError
        If a line is malformed or there is none.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"trial list {path} does not exist")
    trials = list(iterate_trials(path))
    if not trials:
        raise ValueError(f"trial list {path} has no trials")
    _, labels, enrol, test = zip(*trials, strict=True)
    return np.array(labels), list(enrol), list(test)
