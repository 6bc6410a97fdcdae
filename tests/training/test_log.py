"""What a run writes down."""

import json
from importlib.metadata import version

import pytest
import torch
from speechbrain.utils.train_logger import FileTrainLogger

from ssrl_brain.commands import train
from ssrl_brain.report.panels import GATE, HEALTH, LABELS
from ssrl_brain.training.log import EpochLog, as_text, group_of, read_history


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


def events_of(folder):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_accumulator

    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return events


def test_tensorboard_has_the_numbers_in_groups(tmp_path):
    log = EpochLog(tmp_path)
    log.record({"epoch": 1, "loss": 0.5, "name": "x", "nmi": 0.5})
    log.record({"epoch": 2, "loss": 0.25, "eer_student": 9.5, "new": 1})
    events = events_of(tmp_path / "tensorboard")
    assert {"train/loss", "labels/nmi", "valid/eer_student", "health/new"} == {
        tag for tag in events.Tags()["scalars"] if not tag.startswith("_")
    }
    found = [(e.step, e.value) for e in events.Scalars("train/loss")]
    assert found == [(1, 0.5), (2, 0.25)]


def test_losses_of_steps_survive_a_resumption(tmp_path):
    for steps in (range(1, 8), range(5, 9)):  # interrupted after the seventh
        log = EpochLog(tmp_path, every_steps=2)
        for step in steps:
            log.step(step, torch.tensor(float(step)))
        log.record({"epoch": 1, "loss": 0.5})
    events = events_of(tmp_path / "tensorboard/steps")
    found = [e.step for e in events.Scalars("train/loss_of_step")]
    assert found == [2, 4, 6, 8]
    EpochLog(tmp_path / "none", every_steps=0).step(10, 1.0)
    assert not (tmp_path / "none").exists()


def test_hyperparameters_go_to_tensorboard(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(
        "lr: 0.1\nname: x\nmodel: !new:a.B {}\n"
    )
    EpochLog(tmp_path).record({"epoch": 1, "loss": 0.5})
    events = events_of(tmp_path / "tensorboard")
    assert "_hparams_/session_start_info" in events.summary_metadata
    text = events.Tensors("hyperparams/text_summary")[0].tensor_proto
    assert b"model: !new:a.B" in text.string_val[0]


def test_a_logger_of_the_toolkit_is_told_of_every_epoch(tmp_path):
    path = tmp_path / "toolkit.txt"
    logger = FileTrainLogger(str(path))
    log = EpochLog(tmp_path, tensorboard=False, train_logger=logger)
    log.record({"epoch": 1, "loss": 0.5, "eer_student": 9.5})
    text = path.read_text()
    assert "epoch: 1" in text and "train loss: 5.00e-01" in text
    assert "valid eer_student: 9.50" in text


def test_every_group_of_the_report_has_its_group_here():
    for panel in LABELS + GATE:
        assert {group_of(key) for key in panel.keys} == {"labels"}, panel
    for panel in HEALTH:
        assert {group_of(key) for key in panel.keys} == {"health"}, panel


def test_the_console_shows_epochs_and_no_libraries(
    start, tmp_path, command, capsys
):
    options = {**start, "number_of_epochs": 1, "tensorboard": False}
    train.main(command("contrastive.yaml", **options, output_folder=tmp_path))
    shown = capsys.readouterr().out
    assert "epoch 1: loss" in shown
    assert "speechbrain" not in shown and "checkpoint" not in shown
    log = (tmp_path / "log.txt").read_text()
    assert "speechbrain.core - INFO - Beginning experiment!" in log
    assert "ssrl_brain.training.log - INFO - epoch 1: " in log


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
