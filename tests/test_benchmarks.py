"""Benchmarks in small: that they run, not how fast."""

import json
import os
import subprocess
import sys

from conftest import ROOT


def test_all_figures_of_a_gpu_on_a_cpu(tmp_path):
    """In one call, each with the machine and the commit."""
    output = tmp_path / "figures.jsonl"
    command = [ROOT / "benchmarks/gpu.py", "--device=cpu", "--tiny"]
    done = subprocess.run(
        [sys.executable, *map(str, command), f"--output={output}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in output.read_text().splitlines()]
    names = {figure["benchmark"] for figure in figures}
    assert names >= {
        "dino_precision",
        "ssrl_precision",
        "sinkhorn",
        "ssrl_bookkeeping",
    }
    for figure in figures:
        assert figure["device"] == "CPU" and figure["torch"]
        assert figure["peak_memory_gb"] > 0


def test_a_script_that_fails_or_takes_too_long_is_named(tmp_path):
    """And the others are not given up for it: all are named."""
    command = [ROOT / "benchmarks/gpu.py", "--device=cpu", "--tiny"]
    done = subprocess.run(
        [sys.executable, *map(str, command), "--minutes=0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("no time left") == done.stdout.count("== ") == 4


def test_examples_in_benchmarks():
    scripts = [
        path
        for path in sorted((ROOT / "benchmarks").glob("*.py"))
        if ">>>" in path.read_text(encoding="utf-8")
    ]
    done = subprocess.run(
        [sys.executable, "-m", "doctest", *map(str, scripts)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"},
        capture_output=True,
        text=True,
    )
    assert len(scripts) > 4 and done.returncode == 0, done.stdout + done.stderr
