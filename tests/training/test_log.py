"""What a run writes down."""

import json
from importlib.metadata import version

import pytest

from ssrl_brain.commands import train
from ssrl_brain.training.log import EpochLog, as_text, read_history


def test_a_repeated_epoch_replaces_itself_and_what_follows(tmp_path):
    log = EpochLog(tmp_path, tensorboard=False)
    for epoch, loss in [(1, 5.0), (2, 4.0), (3, 3.0)]:
        log.record({"epoch": epoch, "loss": loss})
    EpochLog(tmp_path, tensorboard=False).record({"epoch": 2, "loss": 3.5})
    history = read_history(tmp_path)
    assert history == [{"epoch": 1, "loss": 5.0}, {"epoch": 2, "loss": 3.5}]
    assert (tmp_path / "train_log.txt").read_text() == (
        "epoch: 1, loss: 5\nepoch: 2, loss: 3.5\n"
    )
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == history


def test_no_history_yet(tmp_path):
    assert read_history(tmp_path) == []


def test_text_leaves_out_what_is_long():
    record = {"epoch": 1, "sizes": [1, 2], "by": {"a": 1}, "eer": 10 / 3}
    assert as_text(record) == "epoch: 1, eer: 3.333"


def test_tensorboard_has_the_numbers_only(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_accumulator

    log = EpochLog(tmp_path)
    log.record({"epoch": 1, "loss": 0.5, "name": "x"})
    log.record({"epoch": 2, "loss": 0.25})
    events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["epoch", "loss"]
    found = [(e.step, e.value) for e in events.Scalars("loss")]
    assert found == [(1, 0.5), (2, 0.25)]


TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


def test_no_token_reaches_a_file(start, command, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://me:{TOKEN}@example.org")
    options = {**start, "number_of_epochs": 0}
    train.main(command("contrastive.yaml", **options, output_folder=tmp_path))
    written = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    environment = written[tmp_path / "env.log"].decode().splitlines()
    assert f"torch=={version('torch')}" in environment
    assert "://" not in "".join(environment)
    assert (tmp_path / "log.txt") in written
    assert not any(TOKEN.encode() in content for content in written.values())
