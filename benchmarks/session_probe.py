#!/usr/bin/env python3
"""Do embeddings tell speakers, or their recordings, or only their gender?

    python benchmarks/session_probe.py --prepared_folder=results/prepared \\
        results/dino/clusters results/contrastive/clusters

    python benchmarks/session_probe.py --prepared_folder=results/prepared \\
        --data_folder=/data/voxceleb results/dino/export

For label folders with embeddings, of the training utterances of speakers with
several sessions; with ``--data_folder`` for encoder folders, of the speakers
of the trial lists, whom no training has seen. Equal error rates of cosines, in
per cent, 50 where nothing is told:

- ``speaker``: one speaker in two sessions against two speakers, which should
  be low,
- ``same_session``: one speaker in one session against two speakers, lower than
  the first by what the session gives away,
- ``session``: one speaker in one session against one speaker in two, which
  should be near 50,

and with ``--genders``, a table like VoxCeleb's ``vox1_meta.csv``:

- ``same_gender``, ``other_gender``: as ``speaker``, against two speakers of one
  gender and of two,
- ``gender``: two speakers of one gender against two of two.

Where nobody was recorded twice, ``--one_session`` takes all pairs of one speaker
for those of two sessions, so that ``speaker`` tells of recordings as well.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from common import report
from corrupted_labels import known_corpus

from ssrl_brain import embed
from ssrl_brain.evaluation.metrics import eer
from ssrl_brain.handover.label_folder import read_embeddings


def probe(embeddings, speakers, sessions, genders=None):
    """The rates of embeddings (N, D), whose speakers have sessions.

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
    found = {
        "speaker": rate(cosines, across, ~one_speaker),
        "same_session": rate(cosines, within, ~one_speaker),
        "session": rate(cosines, within, across),
    }
    if genders is not None:
        one_gender = genders[first] == genders[second]
        same, other = ~one_speaker & one_gender, ~one_speaker & ~one_gender
        found["same_gender"] = rate(cosines, across, same)
        found["other_gender"] = rate(cosines, across, other)
        found["gender"] = rate(cosines, same, other)
    return found


def rate(cosines, positive, negative):
    """Equal error rate of two kinds of pairs, in per cent; None of one kind."""
    if not (positive.any() and negative.any()):
        return None
    return round(100 * float(eer(cosines[positive], cosines[negative])[0]), 2)


def genders_of(names, lines):
    r"""(N,) genders of speakers; the first column of a table names them.

    Example
    -------
    >>> lines = ["VoxCeleb1 ID\tGender", "id1\tf", "id2\tm"]
    >>> genders_of(["id2", "id1", "id2"], lines).tolist()
    ['m', 'f', 'm']
    """
    delimiter = "\t" if "\t" in lines[0] else ","
    header, *rows = csv.reader(lines, delimiter=delimiter)
    header = [name.strip().lower() for name in header]
    if "gender" not in header:
        sys.exit("error: --genders has no column called gender")
    place = header.index("gender")
    known = {row[0].strip(): row[place].strip() for row in rows if row}
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        sys.exit(f"error: --genders does not name the speaker {missing}")
    return np.array([known[name] for name in names])


def several_sessions(speakers, sessions):
    """Rows (M,) of the speakers that have more than one session."""
    pairs = np.unique(np.stack([speakers, sessions]), axis=1)
    values, counts = np.unique(pairs[0], return_counts=True)
    return np.flatnonzero(np.isin(speakers, values[counts > 1]))


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared_folder", required=True)
    add = parser.add_argument
    add("--prefixes", default="", help="of the IDs to look at, by commas")
    add("--data_folder", help="audio, of unseen speakers")
    add("--genders", help="table of speakers with a column called gender")
    add("--one_session", action="store_true", help="any pair of a speaker")
    parser.add_argument("folders", nargs="+", help="of labels or encoders")
    options = parser.parse_args()
    name = "test" if options.data_folder else "train"
    table, speakers = known_corpus(options.prepared_folder, name)
    sessions = np.asarray(table.sessions)
    if options.one_session:  # as if each utterance were one
        sessions = np.arange(len(table))
    rows = several_sessions(speakers, sessions)
    prefixes = tuple(options.prefixes.split(","))
    named = [table.ids[row].startswith(prefixes) for row in rows]
    rows = rows[np.array(named)]
    if not len(rows):
        sys.exit("error: no such speaker has several sessions")
    genders = None
    if options.genders:
        names = [table.ids[row].split("/")[0] for row in rows]
        lines = Path(options.genders).read_text(encoding="utf-8").splitlines()
        genders = genders_of(names, lines)
    places = [f"{options.data_folder}/{table.paths[row]}" for row in rows]
    for folder in options.folders:
        if options.data_folder:
            found = embed(places, folder).vectors
        else:
            found = read_embeddings(folder)[rows]
        report(
            "session_probe",
            folder=folder,
            seen=not options.data_folder,
            speakers=len(np.unique(speakers[rows])),
            utterances=len(rows),
            **probe(found, speakers[rows], sessions[rows], genders),
        )


if __name__ == "__main__":
    main()
