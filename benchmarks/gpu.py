#!/usr/bin/env python3
"""All figures that a GPU changes, in one go of less than eight minutes.

    python benchmarks/gpu.py --output=figures.jsonl

Runs scripts of this folder one after the other on the GPU, each in a process
of its own, and keeps the JSON lines that they print: steps of DINO and SSRL in
float32 and bfloat16, Sinkhorn-Knopp, what SSRL remembers, and at last the
compiled step, which takes minutes to compile. Batches are as large as the
memory of the GPU allows, see docs/scaling.md. What fails, or for what no time
is left, is named at the end; the others still run.

`--device=cpu --tiny` does the same in small, to see that it works.
"""

import argparse
import subprocess
import sys
import time

import torch
from common import ROOT

STEP = "precision.py --device={device} --batch_size={batch}"
RUNS = [
    f"{STEP} --stage=dino --width=512 --variants=fp32,bf16",
    f"{STEP} --stage=ssrl --width=1024 --variants=fp32,bf16",
    "sinkhorn.py --device={device}",
    "bookkeeping.py --device={device} --step_batch={batch}",
    f"{STEP} --stage=dino --width=512 --variants=bf16,compiled_bf16",
]
TINY = {
    "precision.py": "--width=16 --outputs=32 --rounds=1",
    "sinkhorn.py": "--utterances=300 --clusters=40 --batch_size=30",
    "bookkeeping.py": "--utterances=2000 --clusters=20 --speakers=30 "
    "--repeats=1",
}
# Gigabytes of memory, and utterances in a batch that fit with float32.
BATCHES = {70: 256, 35: 128, 20: 64, 0: 16}


def batch_for_memory():
    """Utterances in a batch of these scripts that fit the first GPU."""
    memory = torch.cuda.get_device_properties(0).total_memory / 1e9
    return next(size for least, size in BATCHES.items() if memory >= least)


def lines_of(run, seconds):
    """JSON lines that a script prints, and what went wrong, if anything."""
    script, *arguments = run.split()
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode().splitlines(), "no time left"
    failed = f"ended with {done.returncode}" if done.returncode else None
    return done.stdout.splitlines(), failed


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default="figures.jsonl")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--batch_size", type=int, help="what fits, by default")
    parser.add_argument("--tiny", action="store_true", help="sizes of a test")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes - 5
    batch = options.batch_size or (2 if options.tiny else batch_for_memory())
    failed = []
    with open(options.output, "w", encoding="utf-8") as file:
        for run in RUNS:
            run = run.format(device=options.device, batch=batch)
            if options.tiny and "compiled" in run:
                continue  # takes minutes for any size
            if options.tiny:
                run += f" {TINY[run.split()[0]]}"
            print("==", run, flush=True)
            lines, wrong = lines_of(run, max(end - time.monotonic(), 0.1))
            lines = [line for line in lines if line.startswith("{")]
            print(*lines, sep="\n", flush=True)
            print(*lines, sep="\n", file=file, flush=True)
            if wrong:
                failed.append(f"{run}: {wrong}")
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
