"""Dirty data: nothing stops, everything is reported, nothing is touched."""

import csv
import os
import pathlib
import re
import shutil
import sys
import tempfile

import dirty
import numpy as np
import pytest
import soundfile
from conftest import ROOT, state_of
from speechbrain.utils.checkpoints import Checkpointer

from ssrl_brain.commands import train
from ssrl_brain.data.audio import read_whole
from ssrl_brain.data.audio_check import check_audio
from ssrl_brain.data.audio_files import list_audio, printable
from ssrl_brain.system import errors
from ssrl_brain.training.log import read_history

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="needs names that other systems refuse"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory, command):
    """A training run on the dirty corpus: its folders and its kinds."""
    root = tmp_path_factory.mktemp("dirty")
    kinds = dirty.make_corpus(root / "data")
    before = state_of(root / "data")
    options = {
        "data_folder": root / "data",
        "prepared_folder": root / "prepared",
        "number_of_epochs": 2,
        "batch_size": 4,
    }
    train.main(
        command("contrastive.yaml", **options, output_folder=root / "run")
    )
    return root, kinds, before, options


def column(path, *names):
    with open(path, newline="", encoding="utf-8") as file:
        return [tuple(row[n] for n in names) for row in csv.DictReader(file)]


def documented():
    """The table of the documentation: kind and outcome."""
    text = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([^|]+) \| `([^|`]+)` \|$", text, re.M)


def test_every_kind_gets_what_it_should_and_the_documentation_is_true(run):
    root, kinds, _, _ = run
    outcomes = []
    used = {path for (path,) in column(root / "prepared/train.csv", "wav")}
    excluded = dict(column(root / "prepared/excluded.csv", "path", "reason"))
    for path, kind in kinds.items():
        reason = excluded.get(printable(path), dirty.IGNORED)
        if path in used:
            reason = dirty.USED
            assert printable(path) not in excluded, kind.words
        assert reason.startswith(kind.outcome), (kind.words, reason)
        outcomes.append((kind.words, reason))
    assert outcomes == documented()
    assert not any(path.startswith("loop") for path in used | set(excluded))


def test_training_goes_through_all_of_it(run):
    root, _, _, _ = run
    history = read_history(root / "run")
    assert [record["epoch"] for record in history] == [1, 2]
    assert all(np.isfinite(record["loss"]) for record in history)


def test_nothing_is_written_where_the_audio_is(run):
    root, _, before, _ = run
    assert state_of(root / "data") == before


# ------------------- files that change after preparation -------------------


def vanish(path):
    path.unlink()


def shorten(path):
    soundfile.write(path, dirty.voice(0.4), dirty.RATE)


def turn_into_text(path):
    path.write_text("no audio")


def turn_into_nan(path):
    soundfile.write(
        path, np.full(2 * dirty.RATE, np.nan), dirty.RATE, subtype="FLOAT"
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (vanish, "cannot be read any more"),
        (turn_into_text, "cannot be read any more"),
        (shorten, "is shorter than when it was prepared"),
        (turn_into_nan, "holds NaN or infinity by now"),
    ],
)
def test_a_file_that_changed_is_named(change, message, tmp_path):
    path = tmp_path / "a.wav"
    dirty.audio()(path)
    found = check_audio(str(path))
    change(path)
    with pytest.raises(ValueError, match=f"{path} {message}") as caught:
        read_whole(str(path), *found[:2], dirty.RATE)
    assert "put the file back" in str(caught.value)


def test_a_file_that_vanishes_under_way_loses_no_more_than_itself(
    run, command, tmp_path, monkeypatch
):
    root, kinds, _, options = run
    data = tmp_path / "data"
    for name, kind in kinds.items():
        if kind.words in ("8 kHz", "48 kHz", "stereo", "24 bits", "clipped"):
            (data / name).parent.mkdir(parents=True)
            shutil.copy2(root / "data" / name, data / name)
            path = data / name
    options = {**options, "data_folder": data, "num_workers": 1}
    options["prepared_folder"] = tmp_path / "prepared"
    line = command(
        "contrastive.yaml", **options, output_folder=tmp_path / "run"
    )
    save = Checkpointer.save_and_keep_only

    def save_then_vanish(self, *args, **kwargs):
        save(self, *args, **kwargs)
        path.rename(tmp_path / "away")

    with monkeypatch.context() as patch, pytest.raises(ValueError) as caught:
        patch.setattr(Checkpointer, "save_and_keep_only", save_then_vanish)
        train.main(line)
    assert errors.one_line(caught.value).startswith(
        f"{path} cannot be read any"
    )
    assert len(read_history(tmp_path / "run")) == 1
    (tmp_path / "away").rename(path)
    train.main(line)
    assert len(read_history(tmp_path / "run")) == 2


# ------------------------------- permissions --------------------------------


@pytest.fixture
def as_nobody():
    """A folder that all can see, and a user who owns nothing."""
    root = pathlib.Path(tempfile.mkdtemp())
    root.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield root
    os.seteuid(user)
    shutil.rmtree(root)


def test_what_may_not_be_read_is_reported(as_nobody):
    user, root = os.geteuid(), as_nobody
    os.seteuid(os.getuid())
    for name in ("open.wav", "closed.wav", "closed/a.wav"):
        (root / name).parent.mkdir(exist_ok=True)
        dirty.audio()(root / name)
        (root / name).chmod(0o644)
    (root / "closed.wav").chmod(0)
    (root / "closed").chmod(0)
    os.seteuid(user)
    listing = list_audio(root)
    assert list(listing.files) == ["closed.wav", "open.wav"]
    assert listing.excluded == [("closed/", "unreadable: Permission denied")]
    reason = check_audio(str(root / "closed.wav")).reason
    assert reason == "unreadable: Permission denied"
    assert check_audio(str(root / "open.wav")).reason == ""
    os.seteuid(os.getuid())
    (root / "closed").chmod(0o755)
