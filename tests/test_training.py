"""Every training stage, for two tiny epochs, from its real YAML."""

import csv
import json
import shutil

import pytest
import torch
import train
from test_hparams import STAGES

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.log import read_history

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
    line = command("finetune.yaml", **without_speakers, output_folder=tmp_path)
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
