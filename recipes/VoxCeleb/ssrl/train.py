#!/usr/bin/env python3
"""Trains one stage, as its YAML describes it.

What it does and all of its options: `python train.py --help`.
"""

from ssrl_brain.commands.train import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
