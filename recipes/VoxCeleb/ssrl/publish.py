#!/usr/bin/env python3
"""Publishes an encoder folder on the Hugging Face hub.

What it does and all of its options: `python publish.py --help`.
"""

from ssrl_brain.commands.publish import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
