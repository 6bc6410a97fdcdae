"""DINO's switches, each in a run of its real YAML."""

import math

import pytest
import torch

from ssrl_brain.brains.dino import DINOBrain
from ssrl_brain.commands import train
from ssrl_brain.losses.dino import DINOLoss
from ssrl_brain.training.health import TrainingHealth
from ssrl_brain.training.log import read_history


@pytest.fixture
def run(start, command, tmp_path):
    """Trains DINO for an epoch; returns the Brain."""

    def train_dino(**options):
        options = {
            "number_of_epochs": 1,
            "output_folder": tmp_path / "run",
            "encoder_folder": "",
            "probe_every": 0,
            **options,
        }
        return train.main(command("dino.yaml", **{**start, **options}))

    return train_dino


def largest_difference(brain):
    pairs = zip(
        brain.teacher.parameters(),
        brain.hparams.student.parameters(),
        strict=True,
    )
    return max((t - s).abs().max().item() for t, s in pairs)


def test_average_of_weights_on_and_off(run, tmp_path):
    assert largest_difference(run()) > 0
    off = run(ema_start=0, ema_end=0, output_folder=tmp_path / "off")
    assert largest_difference(off) == 0


def test_centring_on_and_off(run, tmp_path):
    assert run().hparams.dino_loss.center.abs().max() > 0
    off = run(center_momentum=1, output_folder=tmp_path / "off")
    assert off.hparams.dino_loss.center.abs().max() == 0
    assert read_history(tmp_path / "off")[0]["center_norm"] == 0


def test_sharpening_on_and_off(run, tmp_path, monkeypatch):
    temperatures = set()
    targets = DINOLoss.targets

    def spy(loss, teacher, teacher_temp):
        temperatures.add(teacher_temp)
        return targets(loss, teacher, teacher_temp)

    monkeypatch.setattr(DINOLoss, "targets", spy)
    run()
    assert temperatures == {0.04}
    temperatures.clear()
    off = run(teacher_temp="{value: 0.1}", output_folder=tmp_path / "off")
    assert temperatures == {0.1} == {off.hparams.dino_loss.student_temp}
    sharp, flat = (
        read_history(tmp_path / name)[0]["teacher_entropy"]
        for name in ("run", "off")
    )
    assert sharp < flat <= math.log(12)


def test_prototypes_are_untouched_while_frozen(run, monkeypatch):
    """Neither by weight decay nor by momentum; then they move."""
    seen = []
    end_epoch = DINOBrain.end_epoch

    def snapshot(brain, epoch):
        seen.append(brain.hparams.student.head.prototypes.detach().clone())
        assert brain.hparams.student.head.prototypes.grad is None
        return end_epoch(brain, epoch)

    make_state = DINOBrain.make_state

    def first(brain):
        seen.append(brain.hparams.student.head.prototypes.detach().clone())
        make_state(brain)

    monkeypatch.setattr(DINOBrain, "end_epoch", snapshot)
    monkeypatch.setattr(DINOBrain, "make_state", first)
    brain = run(number_of_epochs=3, freeze_prototypes_epochs=2, weight_decay=1)
    start, *ends = seen
    assert torch.equal(start, ends[0]) and torch.equal(start, ends[1])
    assert not torch.equal(start, ends[2])
    assert brain.opt_class.keywords["momentum"] == 0.9


@pytest.mark.parametrize("decay_biases, groups", [(False, 2), (True, 1)])
def test_biases_and_norms_are_spared(run, decay_biases, groups):
    brain = run(number_of_epochs=0, decay_biases=decay_biases)
    brain.init_optimizers()
    found = brain.optimizer.param_groups
    assert len(found) == groups and found[0]["weight_decay"] == 5e-5
    if groups == 2:
        assert found[1]["weight_decay"] == 0
        assert all(p.ndim == 1 for p in found[1]["params"])
    number = sum(len(group["params"]) for group in found)
    assert number == len(list(brain.hparams.student.parameters()))


def test_history_tells_the_health(run, tmp_path):
    run(number_of_epochs=2)
    for record in read_history(tmp_path / "run"):
        assert 0 <= record["teacher_entropy"] <= math.log(12)
        assert record["mean_entropy"] >= record["teacher_entropy"] - 1e-6
        assert record["teacher_student_kl"] > 0
        assert 0 < record["prototypes_used"] <= 1
        assert 0 < record["embedding_spread"] < 2
        # no consistency term: the loss is its two parts
        parts = record["teacher_entropy"] + record["teacher_student_kl"]
        assert record["loss"] == pytest.approx(parts, rel=1e-4)


def test_collapse_is_told_in_the_record(run, tmp_path, monkeypatch):
    close_epoch = TrainingHealth.close_epoch

    def collapsed(health):
        health.total[4:16] = 0
        health.total[4] = health.total[0]  # all probability on prototype 0
        return close_epoch(health)

    monkeypatch.setattr(TrainingHealth, "close_epoch", collapsed)
    run()
    warning = read_history(tmp_path / "run")[0]["warning"]
    assert "one prototype" in warning and "center_momentum" in warning


def test_probe_of_known_speakers(run, tmp_path):
    run(number_of_epochs=3, probe_every=2)
    first, second, last = read_history(tmp_path / "run")
    assert "probe_nmi" not in first
    for record in (second, last):
        assert 0 <= record["probe_nmi"] <= 1
        assert 1 <= record["probe_labels"] <= 12
        assert record["probe_labels"] <= record["probe_pairs"] * 2
