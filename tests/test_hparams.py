"""The contract of the YAML files."""

import re

import pytest
import torch
from conftest import RECIPE, ROOT
from ruamel.yaml import YAML

from ssrl_brain.commands import command_line

HPARAMS = sorted((ROOT / "hparams").glob("*.yaml"))
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
    assert set(YAML().load(path)) >= CONTRACT


def test_shared_blocks_are_the_same_everywhere():
    pattern = re.compile(
        r"^# ---- (shared: .+?) ----$(.*?)^# ---- end of shared ----$",
        re.MULTILINE | re.DOTALL,
    )
    blocks = {}
    for path in STAGES:
        found = dict(pattern.findall(path.read_text()))
        assert {"shared: folders", "shared: bookkeeping"} <= set(found)
        for title, text in found.items():
            assert blocks.setdefault(title, text) == text, (path, title)
    for name in ("pseudo_label.yaml", "verify.yaml"):
        text = (ROOT / "hparams" / name).read_text()
        found = dict(pattern.findall(text))["shared: folders"]
        expected = blocks["shared: folders"]
        assert re.sub(r"prepared_folder: .*", "", found) == re.sub(
            r"prepared_folder: .*", "", expected
        )


def test_overrides_of_mini_are_keys_of_some_stage():
    keys = set.union(*(set(YAML().load(p)) for p in STAGES))
    keys |= set(YAML().load(ROOT / "hparams/pseudo_label.yaml"))
    assert set(YAML().load(ROOT / "hparams/mini.yaml")) <= keys


@pytest.mark.parametrize("path", ENCODERS, ids=lambda p: p.stem)
def test_encoder_blocks_fit_every_stage(path):
    """A key that a stage lacks would be passed over in silence."""
    for stage in STAGES:
        assert set(YAML().load(path)) <= set(YAML().load(stage))


@pytest.mark.parametrize("path", [*HPARAMS, *ENCODERS], ids=lambda p: p.stem)
def test_lines_are_short_and_booleans_plain(path):
    text = path.read_text()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert not re.search(r":\s+(true|false|yes|no|on|off)\s*(#|$)", text, re.M)


@pytest.mark.parametrize("path", STAGES, ids=lambda p: p.stem)
def test_stage_loads_with_the_overrides_of_mini(path, tmp_path):
    mini = ROOT / "hparams/mini.yaml"
    options = ["data_folder", "encoder_folder", "label_folder"]
    given = [
        f"--{key}={tmp_path}" for key in options if key in YAML().load(path)
    ]
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
