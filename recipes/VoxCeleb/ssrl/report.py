#!/usr/bin/env python3
"""Writes the report of a chain or a run: one HTML file.

What it does and all of its options: `python report.py --help`.
"""

from ssrl_brain.commands.report import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
