"""Files of a run that the report reads: scores, exclusions, warnings."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np

# not what Python itself warns of, which is about libraries
LOG_LINE = re.compile(
    r"\d{4}-\d\d-\d\d [\d:,]+ - (?!py\.warnings)\S+ - (\w+) - (.*)"
)


def read_scores(path):
    """Scores and labels of a scored trial list.

    Arguments
    ---------
    path : Path
        Lines "score label enrolment test".

    Returns
    -------
    scores : numpy.ndarray
        (M,)
    labels : numpy.ndarray
        (M,) 1 for the same speaker, 0 for different ones.

    Raises
    ------
    ValueError
        If a line is not of that form.
    """
    try:
        table = np.loadtxt(path, usecols=(0, 1), comments=None, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: {error}: run verify.py again") from None
    scores, labels = table.T if table.size else np.empty((2, 0))
    if not (np.isin(labels, (0, 1)).all() and np.isfinite(scores).all()):
        raise ValueError(
            f"{path}: a line is not 'score label enrolment test': run "
            "verify.py again"
        )
    return scores, labels


def read_excluded(prepared, examples=5):
    """Files left out of a corpus, by reason.

    Returns
    -------
    list of tuple
        (reason, number of files, first paths), the most frequent first.
    """
    path = Path(prepared) / "excluded.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == 2][1:]
    reasons = Counter(reason.split(":")[0] for _, reason in rows)
    first = {reason: [] for reason in reasons}
    for name, reason in rows:
        names = first[reason.split(":")[0]]
        if len(names) < examples:
            names.append(name)
    return [(r, n, first[r]) for r, n in reasons.most_common()]


def read_warnings(run):
    """What a run warned of, each warning once.

    Returns
    -------
    list of tuple
        (message, how often); from its history, then from ``log.txt``.
    """
    found = Counter()
    for record in run.history:
        if "warning" in record:
            found[record["warning"]] += 1
        for key in ("loss", "lr"):
            if record.get(key) is not None and not np.isfinite(record[key]):
                found[f"{key} is not finite"] += 1
    path = run.folder / "log.txt"
    if path.is_file():
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                match = LOG_LINE.match(line)
                if match and match[1] in ("WARNING", "ERROR", "CRITICAL"):
                    found[match[2].strip()] += 1
    return list(found.items())
