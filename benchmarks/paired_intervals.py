#!/usr/bin/env python3
"""Is one encoder better than another, whoever the test speakers had been?

    python benchmarks/paired_intervals.py \\
        --speakers_csv=results/prepared/speakers.csv \\
        results/adapted/given/verify results/adapted/ssrl/verify

For output folders of verify.py: the difference of the EERs of the first and of
each other one, per cent, and its 95 % interval over test speakers that are
drawn anew with all their trials, the same ones for both. An interval of one
encoder is much wider, for easy and hard speakers are so for all encoders.
"""

import argparse
from pathlib import Path

import numpy as np
from common import report

from ssrl_brain.evaluation.intervals import bootstrap, interval
from ssrl_brain.evaluation.speakers import read_speakers


def read_scores(path):
    """Scores (M,), labels (M,), enrolment and test IDs of a score file."""
    rows = [line.split() for line in Path(path).read_text().splitlines()]
    scores, labels, enrol, test = zip(*rows, strict=True)
    return np.array(scores, float), np.array(labels, int), enrol, test


def differences(first, second, labels, sides, num_draws):
    """EER of the first scores less that of the second, per draw, in per cent.

    Example
    -------
    >>> labels, sides = np.array([1, 1, 0]), (np.array([0, 1, 0]), [0, 1, 1])
    >>> good, bad = np.array([0.9, 0.8, 0.1]), np.array([0.1, 0.1, 0.9])
    >>> differences(bad, good, labels, sides, 2)
    array([100., 100.])
    """
    draws = [
        bootstrap(scores, labels, *sides, num_draws)["eer"]
        for scores in (first, second)
    ]
    return draws[0] - draws[1]


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speakers_csv", required=True)
    parser.add_argument("--num_draws", type=int, default=1000)
    parser.add_argument("folders", nargs="+", help="two or more")
    options = parser.parse_args()
    first, *others = options.folders
    for path in sorted(Path(first, "scores").glob("*.txt")):
        scores, labels, *names = read_scores(path)
        speakers = read_speakers(options.speakers_csv, names[0] + names[1])
        sides = np.split(speakers, 2)
        for other in others:
            found = read_scores(Path(other, "scores", path.name))
            if found[2:] != tuple(names):
                raise ValueError(f"{other} has other trials than {first}")
            differ = differences(
                scores, found[0], labels, sides, options.num_draws
            )
            report(
                "paired_intervals",
                list=path.stem,
                folder=other,
                speakers=int(speakers.max()) + 1,
                better_by=round(float(differ.mean()), 2),
                interval=np.round(interval(differ), 2).tolist(),
            )


if __name__ == "__main__":
    main()
