#!/usr/bin/env python3
"""Decodes a folder of audio into another folder.

What it does and all of its options: `python convert.py --help`.
"""

from ssrl_brain.commands.convert import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
