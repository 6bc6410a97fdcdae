"""True speakers: read here, and nowhere else.

Metrics report them: a run without ``speakers.csv`` trains the same weights and
only reports less. One stage learns from them, fine-tuning with labels, by
``labelled_subset``.
"""

import sys
from pathlib import Path

import numpy as np

from ssrl_brain.data.sampler import random_generator, share_of_utterances
from ssrl_brain.evaluation.label_metrics import (
    label_quality,
    matched_labels,
    right_labels,
)
from ssrl_brain.system.files import read_table


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
    speaker_of = _speaker_names(path)
    try:
        return _numbered(speaker_of[name] for name in ids)
    except KeyError as error:
        raise ValueError(
            f"{path} does not name the speaker of {error}: prepare again"
        ) from None


def _speaker_names(path):
    """{ID: name of its speaker}; each name is held once."""
    header, rows = read_table(path)
    if not {"ID", "speaker"} <= set(header):
        raise ValueError(f"{path} must have the columns ID,speaker")
    id, speaker = header.index("ID"), header.index("speaker")
    return {row[id]: sys.intern(row[speaker]) for row in rows}


def _numbered(names):
    """(N,) position of each name among the sorted names."""
    seen = {}
    numbers = np.fromiter(
        (seen.setdefault(name, len(seen)) for name in names), dtype=np.int64
    )
    place = np.empty(len(seen), dtype=np.int64)
    place[[seen[name] for name in sorted(seen)]] = np.arange(len(seen))
    return place[numbers]


def labelled_subset(table, speakers_csv, fraction, seed):
    """Utterances whose true speakers fine-tuning may know, and these speakers.

    Drawn at random among the utterances that the file names, without regard
    to the speaker (cluster-aware DINO, VI-B). With one seed, a smaller
    fraction is part of every larger one.

    Arguments
    ---------
    table : Utterances
    speakers_csv : str
        Columns ID,speaker. It need not name every utterance.
    fraction : float
        Share of the named utterances, above 0 and up to 1.
    seed : int

    Returns
    -------
    rows : numpy.ndarray
        (M,) rows of the table, in ascending order.
    speakers : numpy.ndarray
        (M,) integers 0..S-1; every one of them occurs.

    Raises
    ------
    FileNotFoundError, ValueError
        If speakers are not known, or too few to tell apart.

    Example
    -------
    >>> from ssrl_brain.data.utterances import Utterances
    >>> table = Utterances("abcd", "abcd", [1] * 4, [1] * 4, [0] * 4)
    >>> path = getfixture("tmp_path") / "speakers.csv"
    >>> _ = path.write_text("ID,speaker\\na,Ada\\nc,Bo\\nd,Ada\\n")
    >>> labelled_subset(table, path, fraction=1.0, seed=0)
    (array([0, 2, 3]), array([0, 1, 0]))
    """
    if not 0 < fraction <= 1:
        raise ValueError(
            f"--label_fraction={fraction} must lie above 0 and up to 1"
        )
    if not Path(speakers_csv).is_file():
        raise FileNotFoundError(
            f"{speakers_csv} does not exist, and fine-tuning needs speakers: "
            "use a folder in VoxCeleb's layout (id00012/video/utterance.wav), "
            "or give --speakers_csv=<file with the columns ID,speaker>"
        )
    speaker_of = _speaker_names(speakers_csv)
    named = [row for row, name in enumerate(table.ids) if name in speaker_of]
    order = random_generator("labelled", seed).permutation(len(named))
    num = round(fraction * len(named))
    rows = np.sort(np.array(named, dtype=np.int64)[order[:num]])
    speakers = _numbered(speaker_of[table.ids[row]] for row in rows)
    num_speakers = len(np.unique(speakers))
    if num_speakers < 2:
        raise ValueError(
            f"{speakers_csv} gives {num} labelled utterances of "
            f"{num_speakers} speaker(s), and fine-tuning needs two: raise "
            f"--label_fraction={fraction}, or name more training utterances"
        )
    return rows, speakers


def share_of_speakers(table, speakers_csv, fraction, seed):
    """Utterances of some of the true speakers (DINO study, 5.4).

    For one analysis: does it matter whether half a corpus has half of the
    speakers, or half of what each of them says? Only the choice of what is
    heard depends on speakers. With one seed, a smaller share is part of every
    larger one.

    Arguments
    ---------
    table : Utterances
    speakers_csv : str
        Columns ID,speaker; names every utterance.
    fraction : float
        Share of the speakers, above 0 and up to 1.
    seed : int

    Returns
    -------
    numpy.ndarray
        (M,) rows of the table, in ascending order.

    Raises
    ------
    FileNotFoundError, ValueError
        If speakers are not known, or for another fraction.

    Example
    -------
    >>> from ssrl_brain.data.utterances import Utterances
    >>> table = Utterances("abcd", "abcd", [1] * 4, [1] * 4, [0] * 4)
    >>> path = getfixture("tmp_path") / "speakers.csv"
    >>> _ = path.write_text("ID,speaker\\na,Ada\\nb,Bo\\nc,Ada\\nd,Bo\\n")
    >>> share_of_speakers(table, path, fraction=0.5, seed=0)
    array([1, 3])
    """
    speakers = read_speakers(speakers_csv, table.ids)
    if speakers is None:
        raise FileNotFoundError(
            f"{speakers_csv} does not exist, and a share of the speakers needs "
            "it: use a folder in VoxCeleb's layout"
        )
    drawn = share_of_utterances(np.unique(speakers), fraction, seed)
    return np.flatnonzero(np.isin(speakers, drawn))


class KnownSpeakers:
    """Speakers of a table, read once.

    Arguments
    ---------
    prepared_folder : str
    """

    def __init__(self, prepared_folder):
        self.path = Path(prepared_folder) / "speakers.csv"
        self.table = None
        self.speakers = None

    def of(self, table):
        """(N,) speaker numbers, or None where they are not known."""
        if self.table is not table:
            self.table = table
            self.speakers = read_speakers(self.path, table.ids)
        return self.speakers


class LabelMetrics:
    """Quality of pseudo labels, see ``ssrl_brain.evaluation.label_metrics.label_quality``.

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
        self.known = KnownSpeakers(prepared_folder)

    def speakers_of(self, table):
        """(N,) speaker numbers, or None where they are not known"""
        return self.known.of(table)

    def __call__(self, table, labels):
        """labels (N,) of a table -> dict, empty if speakers are unknown"""
        speakers = self.known.of(table)
        if speakers is None:
            return {}
        return label_quality(np.asarray(labels), speakers)

    def right(self, table, labels):
        """(N,) bool, right by the best matching (SSRL, III-D), or None."""
        speakers = self.known.of(table)
        if speakers is None:
            return None
        return matched_labels(np.asarray(labels), speakers)


class GateMetrics:
    """Whether a loss gate tells right labels from wrong ones (DLG-LC).

    Right is a label whose cluster holds more utterances of the utterance's
    speaker than of any other, see ``ssrl_brain.evaluation.label_metrics.right_labels``.

    Arguments
    ---------
    prepared_folder : str

    Example
    -------
    >>> (getfixture("tmp_path") / "speakers.csv").write_text(
    ...     "ID,speaker\\na,x\\nb,x\\nc,y\\nd,y\\n"
    ... )
    27
    >>> from ssrl_brain.data.utterances import Utterances
    >>> table = Utterances("abcd", "abcd", [1] * 4, [1] * 4, [0] * 4)
    >>> labels, predictions = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    >>> passed, corrected = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], bool)
    >>> metrics = GateMetrics(getfixture("tmp_path"))
    >>> metrics(table, labels, predictions, passed, corrected)["right"]
    0.75
    """

    def __init__(self, prepared_folder):
        self.known = KnownSpeakers(prepared_folder)

    def __call__(self, table, labels, predictions, passed, corrected):
        """Shares of right labels, of all and among what the gate did.

        Arguments
        ---------
        table : Utterances
        labels, predictions : numpy.ndarray
            (N,) pseudo labels, and the model's own.
        passed, corrected : numpy.ndarray
            (N,) bool; the others were dropped.

        Returns
        -------
        dict
            ``right`` (of all labels), ``right_passed``, ``right_dropped``,
            ``right_before_correction`` (the labels of those corrected),
            ``right_corrected`` (their predictions), and ``right_recall``, the
            share of the right labels that passed; between 0 and 1. None where
            there is nothing to count; empty if speakers are unknown.
        """
        speakers = self.known.of(table)
        if speakers is None:
            return {}
        right, right_predictions = right_labels(labels, speakers, predictions)

        def share(values, of):
            return float(values[of].mean()) if of.any() else None

        return {
            "right": float(right.mean()),
            "right_passed": share(right, passed),
            "right_dropped": share(right, ~passed & ~corrected),
            "right_before_correction": share(right, corrected),
            "right_corrected": share(right_predictions, corrected),
            "right_recall": share(passed, right),
        }

    def right(self, table, labels):
        """(N,) bool, which labels are right, or None."""
        speakers = self.known.of(table)
        if speakers is None:
            return None
        return right_labels(labels, speakers, labels)[0]
