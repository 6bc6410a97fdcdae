#!/usr/bin/env python3
"""Packs a folder of audio into tar shards, for network disks.

What it does and all of its options: `python shard.py --help`.
"""

from ssrl_brain.commands.shard import main
from ssrl_brain.system.process import run

if __name__ == "__main__":
    run(main)
