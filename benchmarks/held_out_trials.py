#!/usr/bin/env python3
"""A trial list of speakers that are held out of training.

    python train.py hparams/contrastive.yaml --number_of_epochs=0 \\
        --data_folder=/data/vox --trial_lists=veri_test.txt \\
        --prepared_folder=results/all --output_folder=results/untrained
    python ../../../benchmarks/held_out_trials.py \\
        --prepared_folder=results/all --output=dev.txt --num_speakers=40

The first command, of which only the tables are needed, and the second are run
in `recipes/VoxCeleb/ssrl`.

Choose on such a list, and look at the test speakers once. Every later command
gets both, ``--trial_lists=dev.txt,veri_test.txt``: the speakers of every list
are left out of training, and the first list is the one that an epoch is
validated on. Half of the trials are positive, of two sessions where a speaker
has several; negatives are any two speakers. The same seed gives the same list.
"""

import argparse

import numpy as np
from corrupted_labels import known_corpus

from ssrl_brain.system.files import write_text


def draw_trials(
    ids, speakers, sessions, num_speakers, num_trials, seed, min_utterances=2
):
    """Trials (label, ID, ID) between some of the speakers, none of them twice.

    Arguments
    ---------
    ids : list of str
        N utterances.
    speakers, sessions : np.ndarray
        (N,) integers.
    num_speakers : int
        As many as are held out, of those with ``min_utterances``.
    num_trials : int
        Half of them of one speaker; fewer where there are no more pairs.
    seed : int
    min_utterances : int

    Example
    -------
    >>> ids, speakers = list("abcd"), np.array([0, 0, 1, 1])
    >>> trials = draw_trials(ids, speakers, np.arange(4), 2, 8, seed=0)
    >>> sorted(trials)[-2:], len(trials)
    ([(1, 'a', 'b'), (1, 'c', 'd')], 6)
    """
    generator = np.random.default_rng(seed)
    values, counts = np.unique(speakers, return_counts=True)
    several = values[counts >= min_utterances]
    if num_speakers > len(several):
        raise ValueError(
            f"--num_speakers={num_speakers} is more than the {len(several)} "
            f"speakers with {min_utterances} utterances"
        )
    held_out = generator.permutation(several)[:num_speakers]
    rows = np.flatnonzero(np.isin(speakers, held_out))
    first, second = np.triu_indices(len(rows), 1)
    first, second = rows[first], rows[second]
    same = speakers[first] == speakers[second]
    across = same & (sessions[first] != sessions[second])
    one_session = ~np.isin(speakers[first], speakers[first[across]])
    positive = np.flatnonzero(across | (same & one_session))
    trials = []
    for label, pairs in ((1, positive), (0, np.flatnonzero(~same))):
        for pair in generator.permutation(pairs)[: num_trials // 2]:
            trials.append((label, ids[first[pair]], ids[second[pair]]))
    return trials


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared_folder", required=True)
    parser.add_argument("--output", required=True, help="trial list")
    parser.add_argument("--num_speakers", type=int, default=40)
    parser.add_argument("--num_trials", type=int, default=6000)
    parser.add_argument("--min_utterances", type=int, default=2)
    parser.add_argument("--prefix", default="", help="of the IDs to draw from")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table, speakers = known_corpus(options.prepared_folder)
    rows = [x.startswith(options.prefix) for x in table.ids]
    rows = np.flatnonzero(rows)
    trials = draw_trials(
        [table.ids[row] for row in rows],
        speakers[rows],
        np.asarray(table.sessions)[rows],
        options.num_speakers,
        options.num_trials,
        options.seed,
        options.min_utterances,
    )
    lines = [f"{label} {enrol} {test}\n" for label, enrol, test in trials]
    write_text(options.output, "".join(lines))
    print(f"{len(trials)} trials of {options.num_speakers} speakers")


if __name__ == "__main__":
    main()
