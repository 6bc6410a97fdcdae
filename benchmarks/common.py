"""What all benchmarks share: the machine in words, one JSON line a result."""

import json
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

import torch

PAGE = os.sysconf("SC_PAGE_SIZE")
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


def number_of(text):
    """10000000 of "10M"."""
    return int(text.replace("M", "000000").replace("k", "000"))


def resident_bytes():
    """Memory of this process at the moment."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def peak_bytes():
    """Its most so far, without that of who started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


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
