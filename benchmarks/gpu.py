#!/usr/bin/env python3
"""All figures that need a GPU, in one go.

    python benchmarks/gpu.py --output=figures.jsonl

Runs the scripts of this folder one after the other on the GPU, each in a
process of its own, and keeps the JSON lines that they print. A script that
fails is named at the end, and the others still run. About five minutes.
"""

import argparse
import subprocess
import sys

from common import ROOT

RUNS = [
    *(
        f"dino_step.py --device=cuda --batch_size={size} --precision={kind}"
        for kind in ("fp32", "bf16")
        for size in (64, 128, 256)
    ),
    "sinkhorn.py --device=cuda",
    "bookkeeping.py --device=cuda",
    "speed_perturb.py",
]


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="figures.jsonl")
    options = parser.parse_args()
    failed = []
    with open(options.output, "w", encoding="utf-8") as file:
        for run in RUNS:
            print("==", run, flush=True)
            script, *arguments = run.split()
            done = subprocess.run(
                [sys.executable, str(ROOT / "benchmarks" / script), *arguments],
                stdout=subprocess.PIPE,
                text=True,
            )
            lines = [x for x in done.stdout.splitlines() if x.startswith("{")]
            print(*lines, sep="\n", flush=True)
            print(*lines, sep="\n", file=file, flush=True)
            if done.returncode:
                failed.append(run)
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
