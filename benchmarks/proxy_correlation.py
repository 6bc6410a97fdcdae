#!/usr/bin/env python3
"""How well figures that need no label tell good epochs from bad ones.

    python benchmarks/proxy_correlation.py results/ssrl/1986 results/ssrl/1987

For each run and each figure in its `history.jsonl`: Spearman's rank
correlation with the true EER (teacher's, else student's) over the epochs that
have both, and the EER of the epoch that the figure alone would have chosen,
beside those of the last and of the best epoch. An epoch is chosen by the
smallest value of a figure that should fall, by the largest of the others. The
number of the epoch is there to compare with: in a run that only gets better,
everything that rises or falls with time is a good figure.
"""

import argparse
import sys

import numpy as np
import scipy.stats

from ssrl_brain.training.log import read_history

# What the figure does as a model gets better.
FIGURES = {
    "proxy_eer": "falls",
    "labels_changed": "falls",
    "queue_agreement": "rises",
    "clean_prob": "rises",
    "teacher_student_agreement": "rises",
    "clusters": "falls",
    "loss": "falls",
    "epoch": "rises",  # what is worth nothing: later is better
}


def true_eer(record):
    """EER of an epoch in per cent, None where it was not validated."""
    return record.get("eer_teacher", record.get("eer_student"))


def rows_of(history):
    """What each figure of a run is worth.

    Arguments
    ---------
    history : list of dict
        Records of the epochs.

    Returns
    -------
    list of dict
        ``figure``, ``epochs`` that have it and a true EER, ``correlation``
        (nan where one of both never changes), and the EERs of the epoch
        ``chosen``, the ``last`` and the ``best``.

    Raises
    ------
    ValueError
        If fewer than three epochs have a true EER.

    Example
    -------
    >>> history = [
    ...     {"epoch": 1, "proxy_eer": 9.0, "eer_student": 20.0},
    ...     {"epoch": 2, "proxy_eer": 4.0, "eer_student": 11.0},
    ...     {"epoch": 3, "proxy_eer": 5.0, "eer_student": 10.0},
    ... ]
    >>> row, _ = rows_of(history)
    >>> row["figure"], round(row["correlation"], 2), row["chosen"], row["best"]
    ('proxy_eer', 0.5, 11.0, 10.0)
    """
    validated = [r for r in history if true_eer(r) is not None]
    if len(validated) < 3:
        raise ValueError(
            f"{len(validated)} epochs have a true EER, and ranks need three: "
            "train with --valid_every=1 and a trial list"
        )
    rows = []
    for figure, direction in FIGURES.items():
        records = [r for r in validated if figure in r]
        if len(records) < 3:
            continue
        values = np.array([r[figure] for r in records], dtype=float)
        eers = np.array([true_eer(r) for r in records])
        varies = np.ptp(values) > 0 and np.ptp(eers) > 0
        correlation = (
            scipy.stats.spearmanr(values, eers).statistic if varies else np.nan
        )
        chosen = values.argmin() if direction == "falls" else values.argmax()
        rows.append(
            {
                "figure": figure,
                "should": direction,
                "epochs": len(records),
                "correlation": float(correlation),
                "chosen": float(eers[chosen]),
                "last": float(eers[-1]),
                "best": float(eers.min()),
            }
        )
    return rows


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="output folders of stages")
    options = parser.parse_args()
    print(
        "| run | figure | should | epochs | rank correlation with EER "
        "| EER % of its choice | of the last epoch | of the best |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    found = {}
    for run in options.runs:
        try:
            rows = rows_of(read_history(run))
        except ValueError as error:
            print(f"{run} is left out: {error}", file=sys.stderr)
            continue
        for row in rows:
            found.setdefault(row["figure"], []).append(row)
            print(
                "| {run} | {figure} | {should} | {epochs} | {correlation:+.2f} "
                "| {chosen:.2f} | {last:.2f} | {best:.2f} |".format(
                    run=run, **row
                )
            )
    if len(options.runs) == 1:
        return
    for figure, rows in found.items():
        rows = [row for row in rows if np.isfinite(row["correlation"])]
        if not rows:
            continue
        mean = {
            key: np.mean([row[key] for row in rows])
            for key in ("correlation", "chosen", "last", "best")
        }
        print(
            f"| mean of {len(rows)} | {figure} | {rows[0]['should']} "
            f"| {sum(row['epochs'] for row in rows)} "
            "| {correlation:+.2f} | {chosen:.2f} | {last:.2f} "
            "| {best:.2f} |".format(**mean)
        )


if __name__ == "__main__":
    main()
