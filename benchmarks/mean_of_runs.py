#!/usr/bin/env python3
"""One table of several runs of a chain: mean and standard deviation.

    python benchmarks/mean_of_runs.py results/seed1 results/seed2 \\
        --columns=eer,nmi,purity

Reads the metrics.json that pipeline.py leaves; a single folder gives its
figures as they are. Rows that not all folders have are left out and named.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path


def mean_row(rows, columns):
    """Cells of the rows of one stage in several runs.

    Example
    -------
    >>> mean_row(
    ...     [{"name": "a", "eer": 1.0}, {"name": "a", "eer": 2.0}], ["eer"]
    ... )
    ['a', '1.50 ± 0.71']
    """
    return [rows[0]["name"], *(cell([r.get(c) for r in rows]) for c in columns)]


def cell(values):
    """Mean and deviation of numbers, or - where one is missing."""
    if None in values:
        return "-"
    digits = 3 if max(abs(value) for value in values) <= 1 else 2
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--columns", default="eer,min_dcf_0.05,nmi,purity")
    options = parser.parse_args()
    columns = options.columns.split(",")
    runs = []
    for folder in options.folders:
        path = Path(folder) / "metrics.json"
        stages = json.loads(path.read_text(encoding="utf-8"))["stages"]
        runs.append({row["name"]: row for row in stages})
    print("| " + " | ".join(["name", *columns]) + " |")
    print("|" + "---|" * (1 + len(columns)))
    for name in dict.fromkeys(name for run in runs for name in run):
        if all(name in run for run in runs):
            rows = [run[name] for run in runs]
            print("| " + " | ".join(mean_row(rows, columns)) + " |")
        else:
            print(f"{name}: not in every folder", file=sys.stderr)


if __name__ == "__main__":
    main()
