"""True speakers: read here, for metrics, and nowhere else.

No stage may learn from them; a run without ``speakers.csv`` trains the same
weights and only reports less.
"""

import csv
from pathlib import Path

import numpy as np

from ssrl_brain.metrics import label_quality


def read_speakers(path, ids):
    """Speaker numbers of utterances, or None where they are not known.

    Arguments
    ---------
    path : str
        ``speakers.csv`` of a prepared folder.
    ids : iterable of str

    Returns
    -------
    numpy.ndarray or None
        (N,) integers in order of ``ids``; None if there is no such file.

    Raises
    ------
    ValueError
        If an utterance is missing from the file.
    """
    if not Path(path).is_file():
        return None
    with open(path, newline="", encoding="utf-8") as file:
        speaker_of = {row["ID"]: row["speaker"] for row in csv.DictReader(file)}
    try:
        names = [speaker_of[name] for name in ids]
    except KeyError as error:
        raise ValueError(
            f"{path} does not name the speaker of {error}: prepare again"
        ) from None
    return np.unique(names, return_inverse=True)[1]


class LabelMetrics:
    """Quality of pseudo labels, see ``ssrl_brain.metrics.label_quality``.

    Arguments
    ---------
    prepared_folder : str

    Example
    -------
    >>> from ssrl_brain.data.utterances import Utterances
    >>> table = Utterances(["a"], ["a"], [1], [1], [0])
    >>> LabelMetrics(getfixture("tmp_path"))(table, np.array([0]))
    {}
    """

    def __init__(self, prepared_folder):
        self.path = Path(prepared_folder) / "speakers.csv"
        self.table = None
        self.speakers = None

    def speakers_of(self, table):
        """(N,) speaker numbers, or None where they are not known"""
        if self.table is not table:
            self.table = table
            self.speakers = read_speakers(self.path, table.ids)
        return self.speakers

    def __call__(self, table, labels):
        """labels (N,) of a table -> dict, empty if speakers are unknown"""
        speakers = self.speakers_of(table)
        if speakers is None:
            return {}
        return label_quality(np.asarray(labels), speakers)
