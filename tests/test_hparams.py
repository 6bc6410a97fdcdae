"""The contract of the YAML files."""

import re

import pytest
import torch
from conftest import RECIPE, ROOT
from ruamel.yaml import YAML

from ssrl_brain.commands import command_line
from ssrl_brain.commands.command_line import read_yaml

HPARAMS = sorted((ROOT / "hparams").glob("*.yaml"))
PARTS = sorted((ROOT / "hparams/parts").glob("*.yaml"))
ENCODERS = sorted((ROOT / "hparams/encoders").glob("*.yaml"))
STAGES = [p for p in HPARAMS if "brain_class:" in p.read_text()]
CONTRACT = {
    "brain_class",
    "modules",
    "opt_class",
    "epoch_counter",
    "checkpointer",
    "prepare",
    "initialise",
    "make_train_set",
    "dataloader_options",
    "exported",
    "export_folder",
    "output_folder",
    "number_of_epochs",
    "seed",
}


def test_recipe_links_to_the_hparams():
    link = RECIPE / "hparams"
    assert link.is_symlink()
    assert str(link.readlink()) == "../../../hparams"


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.stem)
def test_stage_has_the_contract_keys(path):
    assert set(read_yaml(path)) >= CONTRACT


def test_a_key_stands_in_one_part():
    """Parts do not override each other: what a stage has, one file says."""
    seen = {}
    for path in PARTS:
        for key in YAML().load(path):
            twins = {path.stem, seen.setdefault(key, path.stem)}
            assert len(twins) == 1 or twins == {"ecapa", "small_ecapa"}, key


def test_overrides_of_mini_are_keys_of_some_stage():
    keys = set.union(*(set(read_yaml(p)) for p in STAGES))
    keys |= set(read_yaml(ROOT / "hparams/pseudo_label.yaml"))
    assert set(read_yaml(ROOT / "hparams/mini.yaml")) <= keys


@pytest.mark.parametrize("path", ENCODERS, ids=lambda p: p.stem)
def test_encoder_blocks_fit_every_stage(path):
    """A key that a stage lacks would be passed over in silence."""
    for stage in STAGES:
        assert set(read_yaml(path)) <= set(read_yaml(stage))


@pytest.mark.parametrize(
    "path", [*HPARAMS, *PARTS, *ENCODERS], ids=lambda p: p.stem
)
def test_lines_are_short_and_booleans_plain(path):
    text = path.read_text()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not re.search(r":\s+(true|false|yes|no|on|off)\s*(#|$)", text, re.M)


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.stem)
def test_stage_loads_with_the_overrides_of_mini(path, tmp_path):
    mini = ROOT / "hparams/mini.yaml"
    options = [
        "data_folder",
        "encoder_folder",
        "frames_folder",
        "label_folder",
    ]
    given = [f"--{key}={tmp_path}" for key in options if key in read_yaml(path)]
    given += ["--lr=0.5", f"--output_folder={tmp_path}"]
    _, _, overrides = command_line.parse([str(path), str(mini), *given])
    hparams = command_line.load(str(path), overrides)
    optimizer = hparams["opt_class"]
    assert optimizer.func is torch.optim.AdamW
    assert optimizer.keywords["lr"] == 0.5
    assert hparams["embedding_model"].fc.conv.out_channels == 64


@pytest.mark.parametrize("stage", ["dino", "contrastive"])
def test_pitch_and_tempo_reach_the_data(stage, tmp_path):
    given = ["--pitch_prob=0.5", "--pitch_cents=[200]", "--tempo_prob=0.25"]
    files = [str(ROOT / f"hparams/{name}.yaml") for name in (stage, "mini")]
    _, _, overrides = command_line.parse(
        [*files, f"--data_folder={tmp_path}", *given]
    )
    hparams = command_line.load(files[0], overrides)
    pitch = hparams["make_train_set"].keywords["pitch"]
    assert (pitch.prob, pitch.values, pitch.otherwise) == (0.5, [200], 0)
    for view in hparams["views"]:
        tempo = view.tempo
        assert (tempo.prob, tempo.values) == (0.25, [0.9, 1.1])
        assert tempo.otherwise == 1


def test_a_share_of_the_corpus_reaches_the_data(start, command, tmp_path):
    """24 utterances; half of them, and those of half of the speakers."""
    path = ROOT / "hparams/dino.yaml"
    speakers = (
        "!name:ssrl_brain.evaluation.speakers.share_of_speakers {speakers_csv: "
        "!ref <prepared_folder>/speakers.csv, fraction: 0.5, seed: 3}"
    )
    for options in ({"train_share": 0.5}, {"subset": speakers}, {}):
        line = command(
            "dino.yaml",
            **{**start, "encoder_folder": "null", **options},
            output_folder=tmp_path,
        )
        _, _, overrides = command_line.parse(line)
        data = command_line.load(str(path), overrides)["make_train_set"]()
        assert len(data) == (12 if options else 24)
