"""The command that decodes a tree, as a user types it."""

import os
import subprocess
import sys

import pytest
import sounds

from ssrl_brain.commands import convert


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "in/a").mkdir(parents=True)
    sounds.ffmpeg(tmp_path / "in/a/1.m4a", "aac", sounds.speech(2), 16000)
    (tmp_path / "in/2.m4a").write_text("no audio")
    return tmp_path / "in"


def test_the_script_converts_and_counts(tree, tmp_path, recipe, repository):
    done = subprocess.run(
        [
            sys.executable,
            recipe / "convert.py",
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
        f"{tmp_path}/out: 1 converted, 0 done before, 1 failed (listed in "
        "failed.csv)\n"
    )
    assert (tmp_path / "out/a/1.flac").is_file()


def test_its_numbers_are_returned(tree, tmp_path, capsys):
    counts = convert.main(
        [
            f"--data_folder={tree}",
            f"--output_folder={tmp_path / 'out'}",
            "--format=wav",
            "--sample_rate=8000",
            "--num_workers=1",
        ]
    )
    assert counts == {"converted": 1, "done before": 0, "failed": 1}
    assert (tmp_path / "out/a/1.wav").is_file()


def test_an_error_is_of_one_line(tree):
    options = [f"--data_folder={tree}", f"--output_folder={tree}/x"]
    with pytest.raises(
        ValueError, match="^output_folder .*in/x lies in data_folder"
    ):
        convert.main(options)
    assert not (tree / "x").exists()
