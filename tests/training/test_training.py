"""Every training stage, for two tiny epochs, from its real YAML."""

import csv
import json
import math
import re
import shutil
import signal

import numpy as np
import pytest
import torch
from conftest import RECIPE
from ruamel.yaml import YAML
from test_hparams import STAGES

from ssrl_brain.brains.contrastive import ContrastiveBrain
from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.chains.chain_file import read_chain
from ssrl_brain.commands import command_line, train, verify
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.training.log import read_history
from ssrl_brain.training.schedules import Cosine

NAMES = [path.name for path in STAGES]
# Fine-tuning with labels is the one stage that may learn from speakers.
WITHOUT_LABELS = [name for name in NAMES if name != "finetune.yaml"]


def weights(folder):
    """Exported weights of a run."""
    return torch.load(folder / "export/embedding_model.ckpt", weights_only=True)


def untimed(record):
    """A record without the figures that no two runs share."""
    return {k: v for k, v in record.items() if not k.endswith("seconds")}


def assert_same_run(first, second):
    """Same weights, bit for bit, and the same log but for the time."""
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert torch.equal(ours[key], theirs[key]), key
    for ours, theirs in zip(
        read_history(first), read_history(second), strict=True
    ):
        assert json.dumps(untimed(ours)) == json.dumps(untimed(theirs))


@pytest.fixture(scope="module")
def straight(start, command, tmp_path_factory):
    """Output folders of uninterrupted runs, made when first asked for."""
    made = {}

    def run(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name.removesuffix(".yaml"))
            train.main(command(name, **start, output_folder=made[name]))
        return made[name]

    return run


@pytest.mark.parametrize("name", NAMES)
def test_stage_trains_logs_and_exports(name, straight, start):
    folder = straight(name)
    history = read_history(folder)
    assert [record["epoch"] for record in history] == [1, 2]
    assert all(torch.isfinite(torch.tensor(r["loss"])) for r in history)
    assert 0 <= history[-1]["eer_student"] <= 100
    assert len((folder / "train_log.txt").read_text().splitlines()) == 2
    before = torch.load(
        start["encoder_folder"] / "embedding_model.ckpt", weights_only=True
    )
    after = weights(folder)
    assert any(not torch.equal(before[key], after[key]) for key in before)


class Killed(BaseException):
    """Stands for a kill: nothing gets to clean up."""


def kill_at_step(step):
    """A ``fit_batch`` that gets so far."""
    fit_batch, steps = SpeakerBrain.fit_batch, []

    def killed(brain, batch):
        if len(steps) == step:
            raise Killed
        steps.append(step)
        return fit_batch(brain, batch)

    return "fit_batch", killed


def kill_after_epoch():
    """An ``on_stage_end`` that does not get to validate, log and save."""

    def killed(brain, stage, loss, epoch):
        raise Killed

    return "on_stage_end", killed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "kill",
    [lambda: kill_at_step(2), lambda: kill_at_step(4), kill_after_epoch],
    ids=["step 2", "step 4", "end of epoch"],
)
def test_killed_run_ends_as_the_straight_one(
    name, kill, straight, start, command, tmp_path, monkeypatch
):
    line = [
        *command(name, **start, output_folder=tmp_path),
        "--ckpt_interval_steps=1",
    ]
    with monkeypatch.context() as patch:
        patch.setattr(SpeakerBrain, *kill())
        with pytest.raises(Killed):
            train.main(line)
    train.main(line)
    assert_same_run(straight(name), tmp_path)


@pytest.mark.parametrize("name", ["dino.yaml", "ssrl.yaml"])
def test_ctrl_c_finishes_the_step_and_saves_it(
    name, straight, start, command, tmp_path, monkeypatch
):
    """Without any checkpoint of its own accord."""
    steps, fit_batch = [], SpeakerBrain.fit_batch

    def pressed_in_the_fifth(brain, batch):
        steps.append(brain.epoch)
        if len(steps) == 5:
            signal.raise_signal(signal.SIGINT)
        return fit_batch(brain, batch)

    line = command(name, **start, output_folder=tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(SpeakerBrain, "fit_batch", pressed_in_the_fifth)
        with pytest.raises(KeyboardInterrupt):
            train.main(line)
    assert steps == [1, 1, 1, 2, 2]
    assert signal.getsignal(signal.SIGINT) is before
    with monkeypatch.context() as patch:
        patch.setattr(
            SpeakerBrain,
            "fit_batch",
            lambda brain, batch: steps.append(2) or fit_batch(brain, batch),
        )
        train.main(line)
    assert steps == [1, 1, 1, 2, 2, 2]  # none was made twice
    assert_same_run(straight(name), tmp_path)


def test_posteriors_in_flight_survive_a_kill(
    start, command, tmp_path, monkeypatch
):
    """Sinkhorn-Knopp over the three batches of an epoch, killed in the second.

    More than 2 * 7 utterances are to be collected, in batches of 8.
    """
    name = "ssrl_brain.clustering.online.SinkhornAssignment"
    options = {**start, "assignment": f"!new:{name} {{rows_per_cluster: 2}}"}
    folders = [tmp_path / "straight", tmp_path / "killed"]
    lines = [
        command("ssrl.yaml", **options, output_folder=folder)
        for folder in folders
    ]
    brain = train.main(lines[0])
    assert (brain.label_queue.queue[:, -2:] >= 0).all()
    with monkeypatch.context() as patch:
        patch.setattr(SpeakerBrain, *kill_at_step(4))
        with pytest.raises(Killed):
            train.main([*lines[1], "--ckpt_interval_steps=1"])
    saved = [
        torch.load(path, weights_only=True)["log_probs"].shape
        for path in folders[1].glob("save/*/assignment.ckpt")
    ]
    assert sorted(saved) == [(0, 7), (8, 7)]  # end of epoch 1, and step 4
    train.main([*lines[1], "--ckpt_interval_steps=1"])
    assert_same_run(*folders)


@pytest.fixture
def without_speakers(start, tmp_path):
    """Options of a run whose prepared folder names no speaker."""
    prepared = tmp_path / "prepared"
    shutil.copytree(start["prepared_folder"], prepared)
    summary = json.loads((prepared / "prepared.json").read_text())
    (prepared / "speakers.csv").unlink()
    summary["files"].pop("speakers.csv")
    (prepared / "prepared.json").write_text(json.dumps(summary))
    return {**start, "prepared_folder": prepared}


@pytest.mark.parametrize("name", WITHOUT_LABELS)
def test_true_speakers_change_nothing_but_the_report(
    name, straight, without_speakers, command, tmp_path
):
    options, prepared = without_speakers, without_speakers["prepared_folder"]
    train.main(command(name, **options, output_folder=tmp_path / "run"))
    with open(prepared / "train.csv", newline="") as file:
        assert "speaker" not in next(csv.reader(file))
    assert not (prepared / "speakers.csv").exists()
    ours, theirs = weights(straight(name)), weights(tmp_path / "run")
    for key in ours:
        assert torch.equal(ours[key], theirs[key]), key


def test_fine_tuning_without_speakers_is_refused(
    without_speakers, command, tmp_path
):
    folder = tmp_path / "run"
    line = command("finetune.yaml", **without_speakers, output_folder=folder)
    with pytest.raises(FileNotFoundError, match="needs speakers") as caught:
        train.main(line)
    assert "--speakers_csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fine_tuning_says_what_it_knew(straight, start):
    folder = straight("finetune.yaml")
    names = (folder / "labelled_utterances.txt").read_text().split()
    table = Utterances.from_csv(start["prepared_folder"] / "train.csv")
    assert len(table) == 24 and len(names) == 18
    assert names == [name for name in table.ids if name in set(names)]
    card = (folder / "export/README.md").read_text()
    assert "with labels" in card and "self-supervised" not in card
    state = torch.load(next(folder.glob("save/*/head.ckpt")), weights_only=True)
    assert state["weight"].shape == (4, 8)


def test_fine_tuning_learns_the_speakers(start, command, tmp_path):
    options = {**start, "number_of_epochs": 12, "lr": 0.01, "augment_prob": 0}
    folder = tmp_path / "run"
    train.main(command("finetune.yaml", **options, output_folder=folder))
    first, *_, last = read_history(folder)
    assert last["loss"] < 0.7 * first["loss"]


def test_another_fraction_needs_another_folder(
    straight, start, command, tmp_path
):
    folder = tmp_path / "run"
    shutil.copytree(straight("finetune.yaml"), folder)
    before = (folder / "labelled_utterances.txt").read_text()
    options = {**start, "label_fraction": 1.0, "number_of_epochs": 3}
    for changes, message in [
        ({}, "label_fraction=0.75, now 1.0"),
        ({"allow_changes": True}, "another utterance table"),
    ]:
        line = command("finetune.yaml", **options, **changes)
        with pytest.raises(ValueError, match=message):
            train.main([*line, f"--output_folder={folder}"])
    assert (folder / "labelled_utterances.txt").read_text() == before


def test_other_speakers_need_another_folder(straight, start, command, tmp_path):
    folder, speakers = tmp_path / "run", tmp_path / "speakers.csv"
    shutil.copytree(straight("finetune.yaml"), folder)
    text = (start["prepared_folder"] / "speakers.csv").read_text()
    speakers.write_text(text.replace(",id00000", ",id00001"))
    options = {**start, "speakers_csv": speakers, "allow_changes": True}
    with pytest.raises(ValueError, match="another utterance table or other"):
        train.main(command("finetune.yaml", **options, output_folder=folder))


def test_resuming_with_another_corpus_is_refused(
    start, command, tmp_path, straight
):
    folder = tmp_path / "run"
    shutil.copytree(straight("dino.yaml"), folder)
    corpus = tmp_path / "voxceleb"
    shutil.copytree(start["data_folder"], corpus)
    (corpus / "wav/id00000/s0/0.wav").unlink()
    options = {
        **start,
        "data_folder": corpus,
        "prepared_folder": tmp_path / "prepared",
        "number_of_epochs": 3,
    }
    with pytest.raises(ValueError, match="another utterance table"):
        train.main(command("dino.yaml", **options, output_folder=folder))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"data_folder": "/nowhere"}, "data_folder"),
        ({"encoder_folder": "/nowhere"}, "not an encoder folder"),
        ({"label_folder": "/nowhere"}, "pseudo_label.py"),
        ({"num_clusters": 5}, "--num_clusters=7"),
        ({"emb_dim": 4}, "same encoder"),
        ({"trial_lists": "missing.txt"}, "missing.txt"),
        ({"batch_size": 500}, "--batch_size"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    change, message, start, command, tmp_path
):
    options = {**start, **change}
    if "trial_lists" in change or "data_folder" in change:
        options["prepared_folder"] = tmp_path / "prepared"
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        train.main(
            command("ssrl.yaml", **options, output_folder=tmp_path / "run")
        )
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ssrl_may_begin_with_epochs_on_fixed_labels(start, command, tmp_path):
    options = {**start, "fixed_label_epochs": 1, "number_of_epochs": 1}
    train.main(command("ssrl.yaml", **options, output_folder=tmp_path))
    fixed, reflective = read_history(tmp_path)
    assert fixed["labels_changed"] == 0 and "clean_prob" not in fixed
    assert reflective["labels_changed"] > 0 and "clean_prob" in reflective


def ablation(name):
    """What a row of the ablation changes, as its chain gives it."""
    chain = read_chain(RECIPE / "chains/ssrl_ablation.yaml")
    (step,) = (step for step in chain["steps"] if step["name"] == name)
    return {**chain["options"], **step["fixed"]}


def test_ssrl_without_its_parts(start, command, tmp_path):
    """Table VI, fifth row: noisy students are all that is left."""
    options = {**start, **ablation("none_of_them"), "valid_every": 9}
    brain = train.main(command("ssrl.yaml", **options, output_folder=tmp_path))
    student = brain.hparams.student.state_dict()
    for key, value in brain.teacher.state_dict().items():
        assert torch.equal(value, student[key]), key
    queue = brain.label_queue
    assert torch.equal(queue.queue, queue.label[:, None])
    assert brain.loss_memory.clean_prob.eq(1).all()
    history = read_history(tmp_path)
    assert [r["clean_prob"] for r in history] == [1, 1]
    assert all("mixture" in r and "loss_histogram" in r for r in history)


def test_ssrl_with_its_parts(straight):
    """The other side of those switches."""
    folder = straight("ssrl.yaml")
    (save,) = folder.glob("save/*")
    state = {
        name: torch.load(save / f"{name}.ckpt", weights_only=True)
        for name in ("teacher", "embedding_model", "label_queue", "loss_memory")
    }
    key = "blocks.0.conv.conv.weight"
    assert not torch.equal(
        state["teacher"][f"encoder.{key}"], state["embedding_model"][key]
    )
    assert state["label_queue"]["queue"].shape == (24, 5)
    assert 0 < state["loss_memory"]["clean_prob"].mean() < 1
    record = read_history(folder)[-1]
    total, right, wrong = (
        record[f"loss_histogram{name}"] for name in ("", "_right", "_wrong")
    )
    for low, high in (("low", "high"), ("high", "low")):
        assert total[low] == right[low] == wrong[low] != total[high]
    assert total["counts"] == [
        a + b for a, b in zip(right["counts"], wrong["counts"], strict=True)
    ]
    assert sum(total["counts"]) == 24
    # the share of right labels is the accuracy
    assert sum(right["counts"]) / 24 == pytest.approx(record["accuracy"] / 100)


def test_ssrl_with_a_linear_layer(start, command, tmp_path):
    """Table III: cross-entropy of a linear layer that begins at centroids."""
    options = {**start, **ablation("linear_layer"), "valid_every": 9}
    options["output_folder"] = tmp_path
    options["number_of_epochs"] = 0
    brain = train.main(command("ssrl.yaml", **options))
    centroids = np.load(start["label_folder"] / "centroids.npy")
    head = brain.hparams.head
    assert np.array_equal(head.weight.detach().numpy(), centroids)
    assert head.bias.eq(0).all()
    options["number_of_epochs"] = 1
    brain = train.main(command("ssrl.yaml", **options))
    assert not brain.hparams.head.bias.eq(0).any()


def test_as_many_epochs_on_fixed_labels(start, command, tmp_path):
    options = {**start, **ablation("fixed_labels"), "lr": 0.01}
    brain = train.main(command("ssrl.yaml", **options, output_folder=tmp_path))
    first, last = read_history(tmp_path)
    assert first["labels_changed"] == last["labels_changed"] == 0
    assert "mixture" not in last and "queue_agreement" not in last
    # as SSRL's own: two epochs of three steps, down to lr_final
    lrs = Cosine(0.01, 0.00001, epochs=2)
    assert first["lr"] == pytest.approx(lrs(2 / 3))
    assert last["lr"] == pytest.approx(lrs(5 / 3))
    student = brain.hparams.student.encoder.state_dict()
    for key, value in weights(tmp_path).items():
        assert torch.equal(value, student[key]), key


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_margin_is_a_key(margin, start, command, tmp_path):
    options = {**start, "margin": margin, "output_folder": tmp_path}
    file, _, overrides = command_line.parse(command("ssrl.yaml", **options))
    loss = command_line.load(file, overrides)["margin_loss"]
    cosine = torch.tensor([[0.5, -0.2, 0.1]])
    logits = 32 * cosine.double()  # where float32 leaves three digits
    logits[0, 0] = 32 * math.cos(math.acos(0.5) + margin)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0]))
    found = loss(cosine, torch.tensor([0]))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(loss.logits(cosine), 32 * cosine)  # the teacher's


# ------------------------ what must not be exported -------------------------


def spoiled_after(epoch):
    """A ``fit_batch`` that leaves NaN in a weight after an epoch."""
    fit_batch = SpeakerBrain.fit_batch

    def spoil(brain, batch):
        loss = fit_batch(brain, batch)
        if brain.epoch > epoch:
            bias = brain.hparams.student.encoder.fc.conv.bias
            bias.data[0] = math.nan
        return loss

    return spoil


def checkpoints_of(folder):
    return sorted(path.name for path in folder.glob("save/CKPT*"))


@pytest.mark.parametrize("more", [[], ["--ckpt_interval_steps=1"]], ids=str)
@pytest.mark.parametrize("name", ["dino.yaml", "iterative.yaml"])
def test_a_run_that_diverges_keeps_its_last_good_checkpoint(
    name, more, start, command, tmp_path, monkeypatch
):
    line = [*command(name, **start, output_folder=tmp_path), *more]
    with monkeypatch.context() as patch:
        patch.setattr(SpeakerBrain, "fit_batch", spoiled_after(1))
        with pytest.raises(ValueError, match="training has diverged") as caught:
            train.main(line)
    (good,) = checkpoints_of(tmp_path)
    assert f"the last good checkpoint is {tmp_path}/save/{good}" in str(
        caught.value
    )
    assert "holds NaN" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "export").exists()
    train.main(line)
    assert (tmp_path / "export").is_dir()


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(
    start, command, tmp_path, monkeypatch
):
    compute = ContrastiveBrain.compute_objectives

    def broken(brain, *given):
        loss = compute(brain, *given)
        return loss * math.nan if brain.epoch > 1 else loss

    monkeypatch.setattr(ContrastiveBrain, "compute_objectives", broken)
    line = command("contrastive.yaml", **start, output_folder=tmp_path)
    with pytest.raises(ValueError, match="diverged, the loss is NaN") as caught:
        train.main([*line, "--nonfinite_patience=1"])
    (good,) = checkpoints_of(tmp_path)
    assert good in str(caught.value) and "\n" not in str(caught.value)


def test_bad_weights_of_an_older_run_are_not_exported(
    start, command, tmp_path, straight
):
    """Whose checkpoints were not looked at."""
    folder = tmp_path / "run"
    shutil.copytree(straight("iterative.yaml"), folder)
    shutil.rmtree(folder / "export")
    (saved,) = folder.glob("save/CKPT*")
    good = saved.with_name("CKPT+2000-01-01+00-00-00+00")
    shutil.copytree(saved, good)
    meta = YAML(typ="safe").load(good / "CKPT.yaml")
    (good / "CKPT.yaml").write_text(
        f"end-of-epoch: true\nepoch: 1\nunixtime: {meta['unixtime'] - 9}\n"
    )
    state = torch.load(saved / "embedding_model.ckpt", weights_only=True)
    state["fc.conv.bias"][0] = math.inf
    torch.save(state, saved / "embedding_model.ckpt")
    line = command("iterative.yaml", **start, output_folder=folder)
    with pytest.raises(
        ValueError, match=re.escape(f"good checkpoint is {good}")
    ):
        train.main(line)
    assert not (folder / "export").exists()
    shutil.rmtree(good)
    with pytest.raises(ValueError, match="no checkpoint is good: begin again"):
        train.main(line)


@pytest.mark.parametrize("number", [-1, 1.5, "many"])
def test_numbers_of_epochs_that_cannot_be_meant(
    number, start, command, tmp_path
):
    options = {**start, "number_of_epochs": number}
    with pytest.raises(ValueError, match=f"number_of_epochs={number} must be"):
        train.main(
            command("dino.yaml", **options, output_folder=tmp_path / "x")
        )
    assert not (tmp_path / "x").exists()


NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, bands, dimensions):
        super().__init__()
        self.layer = torch.nn.Linear(bands, dimensions)

    def forward(self, x, lengths=None):
        return self.layer(x.mean(1))[:, None]
"""


def test_an_encoder_of_your_own(start, command, tmp_path, monkeypatch, caplog):
    (tmp_path / "my_net.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    yaml = tmp_path / "my_net.yaml"
    yaml.write_text(
        "embedding_model: !new:my_net.Net\n"
        "    bands: !ref <n_mels>\n    dimensions: !ref <emb_dim>\n"
    )
    folder = tmp_path / "run"
    options = {**start, "output_folder": folder}
    del options["encoder_folder"]
    line = [*command("contrastive.yaml", **options), str(yaml)]
    with pytest.raises(ValueError, match="--export_foreign=True") as caught:
        train.main(line)
    assert "my_net.Net" in str(caught.value) and "\n" not in str(caught.value)
    assert "The encoder uses my_net.Net, which stock" in caplog.text
    saved = checkpoints_of(folder)
    assert len(saved) == 1 and len(read_history(folder)) == 2
    assert not (folder / "export").exists()

    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(
            SpeakerBrain, "fit_batch", lambda *a: pytest.fail("trained")
        )
        train.main([*line, "--export_foreign=True"])
    assert checkpoints_of(folder) == saved
    assert "which stock" not in caplog.text
    card = (folder / "export/README.md").read_text()
    assert (
        "SpeechBrain alone cannot load this model: it needs my_net.Net" in card
    )
    given = {
        **start,
        "encoder_folder": folder / "export",
        "output_folder": tmp_path / "verify",
    }
    with pytest.raises(ValueError, match="--trust_encoder=True"):
        verify.main(command("verify.yaml", **given))
    given["trust_encoder"] = True
    assert "eer" in verify.main(command("verify.yaml", **given))["trials"]
