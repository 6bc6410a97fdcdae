"""The command that packs a tree into tars, as a user types it."""

import os
import subprocess
import sys

import pytest
import sounds

from ssrl_brain import cli
from ssrl_brain.commands import shard


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "in/a").mkdir(parents=True)
    sounds.sndfile(tmp_path / "in/a/1.wav", sounds.speech(2), 16000)
    (tmp_path / "in/2.wav").symlink_to("nowhere")
    return tmp_path / "in"


def test_the_script_packs_and_counts(tree, tmp_path, recipe, repository):
    done = subprocess.run(
        [
            sys.executable,
            recipe / "shard.py",
            f"--data_folder={tree}",
            f"--output_folder={tmp_path / 'out'}",
            "--num_workers=1",
        ],
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"{tmp_path}/out: 1 shards, 1 packed, 0 done before, 1 failed (listed "
        "in failed.csv)\n"
    )
    assert sorted(os.listdir(tmp_path / "out")) == [
        "failed.csv",
        "shard-000000.tar",
        "sharded.json",
    ]


def test_it_is_a_verb(tree, tmp_path, capsys):
    counts = cli.main(
        [
            "shard",
            f"--data_folder={tree}",
            f"--output_folder={tmp_path / 'out'}",
            "--shard_megabytes=0.5",
        ]
    )
    assert counts == {"shards": 1, "packed": 1, "done before": 0, "failed": 1}
    assert "shard     Packs a folder of audio" in cli.usage()


def test_an_error_is_of_one_line(tree):
    options = [f"--data_folder={tree}", f"--output_folder={tree}/x"]
    with pytest.raises(
        ValueError, match="^output_folder .*in/x lies in data_folder"
    ):
        shard.main(options)
    assert not (tree / "x").exists()
