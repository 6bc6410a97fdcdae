"""The chains that come with the recipe, and rounds that purify labels."""

import json
import shutil

import pytest
import torch
from conftest import RECIPE, TINY
from ruamel.yaml import YAML

from ssrl_brain.chains import pipeline
from ssrl_brain.commands import command_line
from ssrl_brain.commands.command_line import read_yaml
from ssrl_brain.training.log import read_history

CHAINS = sorted((RECIPE / "chains").glob("*.yaml"))
SMALL = {
    "channels": "[8, 8, 8, 8, 24]",
    "attention_channels": 4,
    "emb_dim": 8,
    "head_dims": "[16, 8]",
    "num_prototypes": 12,
    "num_clusters": 7,
}


# What some chains take from the command line for all of their steps.
GIVEN = ("encoder_folder", "label_folder", "frames_folder")


def is_placeholder(yaml, key):
    """Whether a stage cannot do without a key."""
    value = read_yaml(RECIPE / yaml).get(key)
    return getattr(value, "tag", None) is not None


def read(path):
    return YAML(typ="safe").load(path)


@pytest.fixture(autouse=True)
def in_the_recipe(monkeypatch, recipe):
    """Chains name their files from there."""
    monkeypatch.chdir(recipe)


@pytest.mark.parametrize("path", CHAINS, ids=lambda p: p.stem)
def test_steps_name_earlier_steps_and_known_keys(path):
    chain = read(path)
    made = []
    for step in chain["steps"]:
        assert step["name"] not in made
        for source in ("encoder", "labels"):
            assert step.get(source, "none") in [*made, "none"]
        known = set.union(
            pipeline.yaml_keys(step["train"]),
            pipeline.yaml_keys("hparams/pseudo_label.yaml"),
            pipeline.yaml_keys("hparams/verify.yaml"),
        )
        options = {**step.get("options", {}), **step.get("fixed", {})}
        assert set(options) <= known, step["name"]
        made.append(step["name"])


@pytest.mark.parametrize("path", CHAINS, ids=lambda p: p.stem)
def test_every_step_can_be_built(path, tmp_path):
    chain = read(path)
    for step in chain["steps"]:
        runner = pipeline.Step(step, chain, tmp_path, SMALL, [])
        runner.options["data_folder"] = tmp_path
        given = [key for key in GIVEN if key not in runner.options]
        given = [key for key in given if is_placeholder(step["train"], key)]
        runner.options |= dict.fromkeys(given, tmp_path)
        built = []

        def build(arguments, built=built):
            file, _, overrides = command_line.parse(arguments)
            built.append(command_line.load(file, overrides))

        runner.call(build, step["train"], {"output_folder": tmp_path})
        (hparams,) = built
        assert hparams["student"] is hparams["modules"]["student"]
        starts = "encoder" in step or "encoder_folder" in given
        assert (hparams["encoder_folder"] is not None) == starts


ROUNDS = """
name: rounds
overrides: [{overrides}]
options: {session_means: True, drop_fraction: 0.25}
steps:
    - name: contrastive
      train: hparams/contrastive.yaml
    - name: scratch
      train: hparams/iterative.yaml
      labels: contrastive
    - name: onwards
      train: hparams/iterative.yaml
      overrides: [hparams/two_stage.yaml]
      encoder: scratch
      labels: scratch
      options: {drop_fraction: 0.0, session_means: False}
    - name: gated
      train: hparams/dlg_lc.yaml
      encoder: onwards
      labels: onwards
      options:
          gate: "!new:ssrl_brain.noisy_labels.gate.FixedGate {threshold: 3}"
          head_label_folder: "!ref <label_folder>"
          label_correction: False
"""


def test_rounds_run_by_themselves(tiny_corpus, tmp_path, monkeypatch):
    tiny = "".join(f"{key}: {value}\n" for key, value in TINY.items())
    (tmp_path / "tiny.yaml").write_text(tiny)
    text = ROUNDS.replace("{overrides}", str(tmp_path / "tiny.yaml"))
    (tmp_path / "chain.yaml").write_text(text)
    line = [
        str(tmp_path / "chain.yaml"),
        f"--output_folder={tmp_path / 'out'}",
        "--device=cpu",
        "--noprogressbar",
        *(f"--{k}={v}" for k, v in tiny_corpus.items()),
    ]

    train = pipeline.train.main
    calls = []

    def killed_in_the_third(arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.train, "main", killed_in_the_third)
        with pytest.raises(KeyboardInterrupt):
            pipeline.main(line)
    rows = pipeline.main(line)

    assert [row["name"] for row in rows] == [
        "contrastive",
        "scratch",
        "onwards",
        "gated",
    ]
    for row in rows[:2] + rows[3:]:
        assert row["kept"] == 18  # of 24
        assert {"nmi", "nmi_kept", "clusters", "clusters_kept"} <= set(row)
    assert "kept" not in rows[2]
    two_stage = tmp_path / "out/onwards/hyperparams.yaml"
    assert "torch.optim.Adam" in two_stage.read_text()
    history = read_history(tmp_path / "out/gated")
    assert [record["gate"] for record in history] == [None, 3.0]
    assert [record["corrected"] for record in history] == [0.0, 0.0]
    assert history[0]["passed"] == 1.0
    source = (tmp_path / "out/scratch/clusters/source.json").read_text()
    assert json.loads(source)["session_means"] is True


def tiny_line(chain, tmp_path, tiny_corpus, **options):
    """Command line of a chain of the recipe, in small."""
    tiny = "".join(f"{key}: {value}\n" for key, value in TINY.items())
    (tmp_path / "tiny.yaml").write_text(tiny)
    options = {**tiny_corpus, "output_folder": tmp_path / "out", **options}
    return [
        f"chains/{chain}.yaml",
        str(tmp_path / "tiny.yaml"),
        "--device=cpu",
        "--noprogressbar",
        *(f"--{key}={value}" for key, value in options.items()),
    ]


def test_an_encoder_is_adapted_to_a_folder_of_audio(
    start, tiny_corpus, tmp_path
):
    audio = tmp_path / "audio"
    source = tiny_corpus["data_folder"] / "wav"
    for number, path in enumerate(sorted(source.rglob("*.wav"))[:20]):
        audio.mkdir(exist_ok=True)
        shutil.copy(path, audio / f"{number}.wav")
    corpus = {"data_folder": audio, "number_of_epochs": 2}
    line = tiny_line("adapt", tmp_path, corpus)
    with pytest.raises(ValueError, match="needs --encoder_folder=") as caught:
        pipeline.main(line)
    assert "\n" not in str(caught.value)

    line.append(f"--encoder_folder={start['encoder_folder']}")
    with pytest.raises(ValueError, match="trained on other features"):
        pipeline.main([*line, "--win_length=25"])
    with pytest.raises(ValueError, match="use the same encoder block"):
        pipeline.main([*line, "--emb_dim=4"])
    rows = pipeline.main(line)
    assert [row["name"] for row in rows] == ["given", "adapted"]
    before, after = (
        torch.load(folder / "embedding_model.ckpt", weights_only=True)
        for folder in (start["encoder_folder"], tmp_path / "out/adapted/export")
    )
    assert any(not torch.equal(before[key], after[key]) for key in before)
    given = torch.load(
        tmp_path / "out/given/export/embedding_model.ckpt", weights_only=True
    )
    assert all(torch.equal(before[key], given[key]) for key in before)
    assert "proxy_eer" in read_history(tmp_path / "out/adapted")[-1]
