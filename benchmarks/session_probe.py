#!/usr/bin/env python3
"""Do embeddings tell speakers, or the recordings that they were made in?

    python benchmarks/session_probe.py --prepared_folder=results/prepared \\
        results/dino/clusters results/contrastive/clusters

For label folders with embeddings, of the training utterances of speakers with
several sessions. Equal error rates of cosines, in per cent, 50 where nothing
is told:

- ``speaker``: one speaker in two sessions against two speakers, which should
  be low,
- ``same_session``: one speaker in one session against two speakers, lower than
  the first by what the session gives away,
- ``session``: one speaker in one session against one speaker in two, which
  should be near 50.
"""

import argparse

import numpy as np
from common import report
from corrupted_labels import known_corpus

from ssrl_brain.evaluation.metrics import eer
from ssrl_brain.handover.label_folder import read_embeddings


def probe(embeddings, speakers, sessions):
    """The three rates of embeddings (N, D), whose speakers have sessions.

    Example
    -------
    >>> speakers, sessions = (
    ...     np.array([0, 0, 0, 1, 1]),
    ...     np.array([0, 0, 1, 2, 3]),
    ... )
    >>> found = probe(np.eye(2)[[0, 0, 0, 1, 1]], speakers, sessions)
    >>> found["speaker"], found["same_session"]
    (0.0, 0.0)
    """
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), 1)
    cosines = (unit @ unit.T)[first, second]
    one_speaker = speakers[first] == speakers[second]
    one_session = sessions[first] == sessions[second]
    within, across = one_speaker & one_session, one_speaker & ~one_session
    return {
        "speaker": rate(cosines, across, ~one_speaker),
        "same_session": rate(cosines, within, ~one_speaker),
        "session": rate(cosines, within, across),
    }


def rate(cosines, positive, negative):
    """Equal error rate of two kinds of pairs, in per cent."""
    return round(100 * float(eer(cosines[positive], cosines[negative])[0]), 2)


def several_sessions(speakers, sessions):
    """Rows (M,) of the speakers that have more than one session."""
    pairs = np.unique(np.stack([speakers, sessions]), axis=1)
    values, counts = np.unique(pairs[0], return_counts=True)
    return np.flatnonzero(np.isin(speakers, values[counts > 1]))


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared_folder", required=True)
    parser.add_argument("--prefix", default="", help="of the IDs to look at")
    parser.add_argument("label_folders", nargs="+")
    options = parser.parse_args()
    table, speakers = known_corpus(options.prepared_folder)
    sessions = np.asarray(table.sessions)
    rows = several_sessions(speakers, sessions)
    named = [table.ids[row].startswith(options.prefix) for row in rows]
    rows = rows[np.array(named)]
    for folder in options.label_folders:
        found = read_embeddings(folder)[rows]
        report(
            "session_probe",
            folder=folder,
            speakers=len(np.unique(speakers[rows])),
            utterances=len(rows),
            **probe(found, speakers[rows], sessions[rows]),
        )


if __name__ == "__main__":
    main()
