"""Verification without labels, and the epoch that it chooses."""

import json
import logging
import runpy

import numpy as np
import pytest
import torch
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from test_training import Killed, assert_same_run, kill_at_step, weights

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.commands import train
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.metrics import verification_metrics
from ssrl_brain.evaluation.proxy import Proxy, proxy_eer
from ssrl_brain.training.log import read_history


def test_trials_are_two_crops_against_other_groups():
    generator = torch.Generator().manual_seed(0)
    crops = torch.randn(2, 9, 4, generator=generator)
    groups = np.array([0, 0, 1, 1, 1, 2, 3, 3, 3])
    scores, labels = [], []
    for i in range(9):
        for j in range(9):
            if i == j or groups[i] != groups[j]:
                a, b = crops[0, i], crops[1, j]
                scores.append(torch.cosine_similarity(a, b, dim=0).item())
                labels.append(int(i == j))
    expected = verification_metrics(scores, labels)["eer"]
    assert proxy_eer(*crops, groups) == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(1, 3 * 3600), st.integers(8000, 192000)),
        min_size=1,
        max_size=5,
    ),
    st.floats(0.5, 4000),
)
def test_long_files_are_drawn_by_their_true_length(files, seconds):
    lengths = [int(length * rate) for length, rate in files]
    names = [str(number) for number in range(len(files))]
    rates = [rate for _, rate in files]
    table = Utterances(names, names, lengths, rates, np.arange(len(files)))
    proxy = Proxy(table, None, "", 16000, 100, seconds)
    crop = round(seconds * 16000)
    assert proxy.rows.tolist() == [
        row
        for row, (length, rate) in enumerate(zip(lengths, rates, strict=True))
        if length * 16000 // rate >= 2 * crop
    ]


@pytest.fixture
def table(start):
    return Utterances.from_csv(start["prepared_folder"] / "train.csv")


def make(table, start, **options):
    options = {"num_utterances": 10, "seconds": 0.3, **options}
    labels = options.pop("labels", None)
    return Proxy(table, labels, start["data_folder"], 16000, **options)


def test_crops_are_both_ends_of_the_same_utterances(table, start):
    proxy = make(table, start)
    assert proxy.rows.tolist() == make(table, start).rows.tolist()
    assert proxy.rows.tolist() != make(table, start, seed=1).rows.tolist()
    assert (table.durations[proxy.rows] >= 0.6).all()
    assert proxy.groups.tolist() == table.sessions[proxy.rows].tolist()
    seen = []

    def encode(wave, lengths):
        assert wave.shape == (10, 4800) and lengths.tolist() == [1.0] * 10
        seen.append(wave)
        return wave[:, :3]

    assert 0 <= proxy(encode, "cpu") <= 100
    first, last = seen
    assert not torch.equal(first, last)
    # an encoder that hears nothing but the utterance makes no error
    names = torch.eye(10)
    assert proxy(lambda wave, lengths: names, "cpu") == 0


def test_groups_are_the_pseudo_labels_where_there_are_any(table, start):
    labels = np.arange(len(table)) % 5
    proxy = make(table, start, labels=labels)
    assert proxy.groups.tolist() == (proxy.rows % 5).tolist()


@pytest.mark.parametrize(
    "options, told",
    [
        ({"num_utterances": 0}, False),
        ({"seconds": 5.0}, True),
        ({"labels": np.zeros(24)}, True),
    ],
)
def test_no_trials_no_proxy(options, told, table, start, caplog):
    with caplog.at_level(logging.WARNING):
        proxy = make(table, start, **options)
    assert not proxy.is_due(1, 1)
    assert ("No proxy_eer" in caplog.text) == told


def test_it_is_due_every_few_epochs_and_at_the_end(table, start):
    proxy = make(table, start, every=3)
    due = [epoch for epoch in range(1, 9) if proxy.is_due(epoch, 8)]
    assert due == [3, 6, 8]


@pytest.fixture
def scripted(monkeypatch):
    """Errors of the proxy by epoch: the second is the best."""
    errors, now = {1: 9.0, 2: 4.0, 3: 5.0}, []
    monkeypatch.setattr(
        Proxy, "is_due", lambda self, epoch, last: now.append(epoch) or True
    )
    monkeypatch.setattr(
        Proxy, "__call__", lambda self, encode, device: errors[now[-1]]
    )


BEST = {
    "export_epoch": "!new:ssrl_brain.evaluation.proxy.BestProxyEpoch",
    "number_of_epochs": 3,
}


def test_the_best_epoch_is_exported_even_after_a_kill(
    start, command, tmp_path, monkeypatch, scripted
):
    folders = [tmp_path / "straight", tmp_path / "killed"]
    lines = [
        command("ssrl.yaml", **{**start, **BEST}, output_folder=folder)
        for folder in folders
    ]
    brain = train.main(lines[0])
    with monkeypatch.context() as patch:
        patch.setattr(SpeakerBrain, *kill_at_step(7))
        with pytest.raises(Killed):
            train.main([*lines[1], "--ckpt_interval_steps=1"])
    train.main([*lines[1], "--ckpt_interval_steps=1"])
    assert_same_run(*folders)

    found = json.loads((folders[0] / "export/metrics.json").read_text())
    second = read_history(folders[0])[1]
    assert found["epoch"] == 2 and found["loss"] == second["loss"]
    exported, last = weights(folders[0]), brain.teacher.encoder.state_dict()
    assert any(not torch.equal(exported[key], last[key]) for key in last)


def test_the_best_epoch_needs_a_proxy(start, command, tmp_path):
    options = {**start, **BEST, "proxy_utterances": 0}
    with pytest.raises(ValueError, match="raise --proxy_utterances"):
        train.main(command("dino.yaml", **options, output_folder=tmp_path))


def test_rank_correlation_of_a_run_with_its_eer():
    script = runpy.run_path(str(ROOT / "benchmarks/proxy_correlation.py"))
    history = [
        {"epoch": 0, "proxy_eer": 1.0},  # not validated
        {"epoch": 1, "proxy_eer": 9.0, "loss": 3.0, "eer_student": 20.0},
        {"epoch": 2, "proxy_eer": 4.0, "loss": 3.0, "eer_student": 11.0},
        {"epoch": 3, "proxy_eer": 5.0, "loss": 3.0, "eer_student": 10.0},
    ]
    proxy, loss, epoch = script["rows_of"](history)
    assert (proxy["figure"], proxy["epochs"]) == ("proxy_eer", 3)
    assert proxy["correlation"] == pytest.approx(0.5)  # 1 - 6 * 2 / (3 * 8)
    assert (proxy["chosen"], proxy["last"], proxy["best"]) == (11, 10, 10)
    assert np.isnan(loss["correlation"])
    assert epoch["figure"] == "epoch" and epoch["chosen"] == 10  # the last
    for record in history:  # the teacher's counts where there is one
        record["eer_teacher"] = record["epoch"]
    assert script["rows_of"](history)[0]["chosen"] == 0
    with pytest.raises(ValueError, match="--valid_every=1"):
        script["rows_of"](history[:2])
