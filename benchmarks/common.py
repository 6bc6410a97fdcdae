"""What all benchmarks share: the machine in words, one JSON line a result."""

import json
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent


def machine():
    """Where a figure was measured, without names of hosts or folders."""
    device = (
        torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    )
    return {
        "device": device,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "torch": torch.__version__,
        "load_before": round(os.getloadavg()[0], 2),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        ).stdout.strip(),
    }


def seconds_each(function, warmup, repeats):
    """Wall-clock seconds of single calls, after some that do not count."""
    times = []
    for repeat in range(warmup + repeats):
        started = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if repeat >= warmup:
            times.append(time.perf_counter() - started)
    return times


def peak_memory_gb():
    """Highest use so far: of the GPU, where it was used, else of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def report(name, **figures):
    """Prints a result as one JSON line."""
    print(
        json.dumps(
            {
                "benchmark": name,
                **figures,
                "peak_memory_gb": round(peak_memory_gb(), 2),
                **machine(),
            }
        ),
        flush=True,
    )
