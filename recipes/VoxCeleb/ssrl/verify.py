#!/usr/bin/env python3
"""Scores trial lists with an encoder folder: EER and minDCF.

What it does and all of its options: `python verify.py --help`.
"""

from ssrl_brain.commands.verify import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
