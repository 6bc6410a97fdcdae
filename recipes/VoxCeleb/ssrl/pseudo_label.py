#!/usr/bin/env python3
"""Embeds a corpus, clusters it, writes pseudo labels.

What it does and all of its options: `python pseudo_label.py --help`.
"""

from ssrl_brain.commands.label import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
