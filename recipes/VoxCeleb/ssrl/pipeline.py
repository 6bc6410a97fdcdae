#!/usr/bin/env python3
"""Runs a chain of stages and ends in one table.

What it does and all of its options: `python pipeline.py --help`.
"""

from ssrl_brain.chains.pipeline import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
