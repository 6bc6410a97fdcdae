"""Every chain at full size: does each step fit those that start from it?"""

import functools
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RECIPE, ROOT

from ssrl_brain.chains import chain_file, pipeline, rehearsal
from ssrl_brain.chains import step as step_module
from ssrl_brain.chains.built import yaml_features
from ssrl_brain.commands import command_line

CHAINS = sorted((RECIPE / "chains").glob("*.yaml"))
KNOWN = {}  # what was built for the chains before


@pytest.fixture(autouse=True)
def in_the_recipe(monkeypatch, recipe):
    """Chains name their files from there."""
    monkeypatch.chdir(recipe)


def steps_of(chain, folder, **options):
    """Runners of a chain that is given as a dict."""
    options = {"data_folder": folder, **options}
    return [
        step_module.Step(step, chain, folder, options, ["--device=cpu"])
        for step in chain["steps"]
    ]


def rehearsed(*steps, folder=Path("out"), **options):
    """What is built of some steps, each (name, YAML, more keys)."""
    chain = {
        "steps": [
            {"name": name, "train": f"hparams/{yaml}.yaml", **more}
            for name, yaml, more in steps
        ],
    }
    return rehearsal.rehearse(steps_of(chain, folder, **options), KNOWN)


@pytest.fixture(scope="session")
def given(tmp_path_factory):
    """Folders as dino.yaml and ca_dino.yaml leave them, full size, by name.

    Their tensors have all shapes and a single value.
    """
    folders = {}
    for name in ("dino", "ca_dino"):
        root = tmp_path_factory.mktemp(name)
        (found,) = rehearsed(
            (name, name, {"fixed": {"encoder_folder": None}})
        ).values()
        state = {
            key: torch.zeros(()).expand(shape)
            for key, shape in found.exported.items()
        }
        torch.save(state, root / "embedding_model.ckpt")
        (root / "hyperparams.yaml").write_text(found.features)
        clusters = 8000 if name == "dino" else 7500
        np.save(root / "centroids.npy", np.zeros((clusters, found.dim), "f4"))
        folders[name] = root
    return folders


@pytest.mark.parametrize("path", CHAINS, ids=lambda p: p.stem)
def test_a_dry_run_at_full_size(
    path, given, tiny_corpus, tmp_path, monkeypatch, capsys
):
    """The whole command, but that no step is trained."""
    chain = chain_file.read_chain(path)
    start = given["ca_dino" if path.stem == "gates" else "dino"]
    line = [str(path), f"--output_folder={tmp_path}", "--device=cpu"]
    line += [f"--{key}={value}" for key, value in tiny_corpus.items()]
    line += [f"--{key}={start}" for key in chain.get("needs", [])]
    if path.stem == "mini_k_init":  # its encoder is that of mini.yaml
        line.remove(f"--encoder_folder={start}")
        line.append("--encoder_folder=")
    found = {}

    def noted(steps):
        found.update(rehearsal.rehearse(steps, KNOWN))

    monkeypatch.setattr(pipeline, "rehearse", noted)
    monkeypatch.setattr(step_module.Step, "lacks_speakers", lambda step: False)
    monkeypatch.setattr(
        step_module.Step, "result", lambda step: {"name": step.name}
    )
    monkeypatch.setattr(pipeline.report, "main", lambda arguments: None)
    rows = pipeline.main(line)
    names = [step["name"] for step in chain["steps"]]
    assert [row["name"] for row in rows] == names == list(found)
    papers = {**chain.get("paper", {})}
    papers |= {s["name"]: s["paper"] for s in chain["steps"] if "paper" in s}
    assert set(papers) <= set(names)
    printed = capsys.readouterr().out
    assert all(f"| {name} (paper) |" in printed for name in papers)


# What the papers print: mel bands, window in ms, first and last channels of
# the encoder, dimensions of an embedding, outputs of the head.
ECAPA = (80, 20, 1024, 3072, 512)
ECAPA_S = (80, 25, 512, 1536, 192)
RESNET = (40, 25, 16, 128, 128)
RESNET_WIDE = (80, 25, 32, 256, 128)
RESNET_SSRL = (80, 20, 32, 256, 128)
PRINTED = {
    "ssrl": {"dino": (*ECAPA, 65536), "ssrl": (*ECAPA, 8000)},
    "ssrl_ecapa": {
        "dino": (*ECAPA, 65536),
        "round_3": (*ECAPA, 8000),
        "ssrl_linear_layer": (*ECAPA, 8000),
    },
    "ssrl_resnet": {
        "contrastive": (*RESNET, 128),
        "fixed_labels": (*RESNET_SSRL, 8000),
        "ssrl": (*RESNET_SSRL, 8000),
        "round_5": (*RESNET_SSRL, 6000),
    },
    "ssrl_resnet_ablation": {"sinkhorn": (*RESNET_SSRL, 8000)},
    "ssrl_k_init": {
        "labels_1000": (*RESNET, 128),
        "ssrl_1000": (*RESNET_SSRL, 1000),
        "ssrl_8000": (*RESNET_SSRL, 8000),
        "ssrl_20000": (*RESNET_SSRL, 20000),
    },
    "iterative": {
        "contrastive": (*RESNET, 128),
        "round_1": (*RESNET_WIDE, 6000),
        "round_5": (*RESNET_WIDE, 6000),
    },
    "ca_dino": {"ca_dino": (*ECAPA_S, 65536)},
    "dlg_lc": {
        "ca_dino": (*ECAPA_S, 65536),
        "iteration_1": (*ECAPA_S, 7500),
        "iteration_4": (*ECAPA_S, 7500),
    },
    "dlg_lc_rounds": {
        "simclr": (*ECAPA_S, 192),
        "simclr_5": (*ECAPA_S, 7500),
    },
    "dlg_lc_gates": {"simclr_no_gate": (*ECAPA_S, 7500)},
    "finetune": {"random_10": (*ECAPA_S, 2)},  # a head of two stands for all
    "dino_study": {
        "s_noise_reverb": (*ECAPA_S, 65536),
        "b_noise_reverb": (80, 25, 1024, 3072, 192, 65536),
    },
}


def width(shapes, *names):
    """Channels of the first of some layers that an encoder has."""
    return next(shapes[name][0] for name in names if name in shapes)


@pytest.mark.parametrize("name", PRINTED)
def test_sizes_are_those_of_the_papers(name, tmp_path):
    chain = chain_file.read_chain(RECIPE / f"chains/{name}.yaml")
    found = rehearsal.rehearse(steps_of(chain, tmp_path), KNOWN)
    for step, printed in PRINTED[name].items():
        built = found[step]
        fbank, _ = yaml_features(built.features)
        shapes = built.exported
        assert (
            fbank.compute_fbanks.n_mels,
            fbank.compute_STFT.win_length * 1000 // built.sample_rate,
            width(shapes, "blocks.0.conv.conv.weight", "conv1.weight"),
            width(shapes, "mfa.conv.conv.weight", "layer4.0.conv1.weight"),
            built.dim,
            built.outputs,
        ) == printed, step


SPOILT = {
    "another encoder": (
        {"train": "hparams/dlg_lc.yaml"},
        "the encoder of .*/start/export does not fit: .* use the same",
    ),
    "another window": (
        {"train": "hparams/ssrl.yaml", "fixed": {"win_length": 25}},
        "trained on other features",
    ),
    "another K": (
        {"train": "hparams/ssrl.yaml", "fixed": {"num_clusters": 7500}},
        "has labels of 8000 clusters, and num_clusters is 7500",
    ),
    "centroids of another encoder": (
        {
            "train": "hparams/ssrl.yaml",
            "fixed": {"encoder_folder": None, "emb_dim": 192},
        },
        "has 8000 centroids of 512 dimensions, the classifier 8000 of 192",
    ),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_does_not_fit_is_told_before_anything_runs(spoilt, tmp_path):
    more, message = SPOILT[spoilt]
    step = {"name": "next", "encoder": "start", "labels": "start", **more}
    chain = {
        "steps": [{"name": "start", "train": "hparams/dino.yaml"}, step],
    }
    with pytest.raises(ValueError, match=f"^step next: .*{message}") as error:
        rehearsal.rehearse(steps_of(chain, tmp_path), KNOWN)
    assert "\n" not in str(error.value)


def test_folders_on_the_disk_are_held_against_too(given, tmp_path):
    options = {"encoder_folder": given["dino"], "label_folder": given["dino"]}
    rehearsed(("ssrl", "ssrl", {}), **options)
    with pytest.raises(ValueError, match="does not fit"):
        rehearsed(("gated", "dlg_lc", {"fixed": {"win_length": 20}}), **options)
    for key in options:
        with pytest.raises(FileNotFoundError, match="not an? .* folder"):
            rehearsed(("ssrl", "ssrl", {}), **{**options, key: tmp_path})


def test_labels_that_nobody_makes_are_missed(tmp_path):
    """A chain without clustering has no labels to give."""
    chain = {
        "cluster": False,
        "steps": [
            {"name": "start", "train": "hparams/dino.yaml"},
            {"name": "ssrl", "train": "hparams/ssrl.yaml", "labels": "start"},
        ],
    }
    chain["steps"][1]["encoder"] = "start"
    with pytest.raises(FileNotFoundError, match="start/clusters is not"):
        rehearsal.rehearse(steps_of(chain, tmp_path), KNOWN)


def test_a_step_that_cannot_run_is_told_and_not_passed_over(tmp_path):
    """80 mel bands for an encoder of 40."""
    block = """n_mels: 80
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 40
"""
    (tmp_path / "wrong.yaml").write_text(block)
    more = {
        "overrides": [str(tmp_path / "wrong.yaml")],
        "fixed": {"encoder_folder": None},
    }
    with pytest.raises(ValueError, match="^step start: Invalid channel"):
        rehearsed(("start", "dino", more))


def test_an_encoder_that_needs_its_values_is_passed_over(caplog, tmp_path):
    """As a pretrained front-end does: meta tensors cannot be read."""
    block = (
        "!new:torch.nn.Sequential [!apply:torch.nn.functional.one_hot "
        "[!apply:torch.Tensor.long [!apply:torch.ones [3]]]]"
    )
    found = rehearsed(
        ("start", "contrastive", {"fixed": {"embedding_model": block}})
    )
    assert found == {} and "start is not rehearsed" in caplog.text


def test_labels_of_a_stage_that_makes_its_own_are_found(tmp_path):
    chain = {
        "steps": [
            {"name": "ssrl", "train": "hparams/ssrl.yaml"},
            {"name": "dino", "train": "hparams/dino.yaml"},
        ]
    }
    folder = functools.partial(chain_file.label_folder, chain=chain)
    assert folder("ssrl", output=tmp_path) == tmp_path / "ssrl/labels"
    assert folder("dino", output=tmp_path) == tmp_path / "dino/clusters"


def test_a_chain_inherits_steps(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "name: base\nneeds: [encoder_folder]\npaper: {a: {eer: 1}}\n"
        "steps: [{name: a, train: x.yaml}, {name: b, train: x.yaml}]\n"
    )
    own = tmp_path / "own.yaml"
    text = "inherit: base.yaml\nname: own\nneeds: []\npaper: {b: {eer: 2}}\n"
    own.write_text(
        f"{text}steps: [{{name: a, train: y.yaml}}, {{name: c, train: y.yaml}}]"
    )
    chain = chain_file.read_chain(own)
    assert (chain["name"], chain["needs"]) == ("own", [])
    assert chain["paper"] == {"a": {"eer": 1}, "b": {"eer": 2}}
    trains = [(step["name"], step["train"]) for step in chain["steps"]]
    assert trains == [("a", "y.yaml"), ("b", "x.yaml"), ("c", "y.yaml")]
    own.write_text("steps: [{name: a}, {name: a}]")
    with pytest.raises(ValueError, match="own.yaml has two steps of the name"):
        chain_file.read_chain(own)


def test_a_ceiling_is_left_out_where_no_speakers_are_known(tmp_path):
    chain = chain_file.read_chain(RECIPE / "chains/ssrl.yaml")
    given = {"trial_lists": "list.txt"}
    steps = steps_of(chain, tmp_path, **given)
    assert [s.name for s in steps if s.lacks_speakers()] == ["ceiling"]
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared/speakers.csv").touch()
    assert not any(step.lacks_speakers() for step in steps)
    steps = steps_of(chain, tmp_path, **given, speakers_csv="own.csv")
    assert not any(step.lacks_speakers() for step in steps)


def test_a_null_of_a_chain_is_null_for_the_stage(tmp_path):
    step = {"name": "x", "train": "hparams/ssrl.yaml"}
    step["fixed"] = {"encoder_folder": None}
    (runner,) = steps_of({"steps": [step]}, tmp_path, label_folder="x")
    _, needed = rehearsal.build_once(runner, KNOWN)
    assert needed.encoder is None


def test_the_first_overrides_give_way_to_those_of_a_step(tmp_path):
    chain = {
        "base_overrides": ["hparams/encoders/resnet_wide.yaml"],
        "steps": [
            {"name": "wide", "train": "hparams/contrastive.yaml"},
            {
                "name": "narrow",
                "train": "hparams/contrastive.yaml",
                "overrides": ["hparams/encoders/resnet.yaml"],
            },
        ],
    }
    wide, narrow = rehearsal.rehearse(steps_of(chain, tmp_path), KNOWN).values()
    assert wide.exported["conv1.weight"][0] == 32
    assert narrow.exported["conv1.weight"][0] == 16


def epochs_of(step):
    """Epochs of a runner, fixed ones included, without loading anything."""
    file, _, overrides = command_line.parse(step.arguments(step.yaml, {}))
    tree = command_line.read_yaml(file)
    tree.update(overrides)
    values = {}
    for key in ("number_of_epochs", "fixed_label_epochs", "total_epochs"):
        if key in tree:
            found = tree[key]
            tagged = getattr(getattr(found, "tag", None), "value", None)
            text = str(found.value) if tagged else str(found)
            for name, value in values.items():
                text = text.replace(f"<{name}>", str(value))
            values[key] = sum(int(part) for part in text.split("+"))
    return values["total_epochs"]


def test_the_page_of_tables_names_every_chain_and_what_it_costs(tmp_path):
    page = (ROOT / "docs/reproduce.md").read_text(encoding="utf-8")
    told = {
        name: (int(rows), int(epochs))
        for name, rows, epochs in re.findall(
            r"pipeline.py chains/(\w+).yaml .*\| (\d+) \| (\d+) \|\n", page
        )
    }
    of_no_paper = {"own", "adapt_study", "contrastive_study"}
    own = [
        path
        for path in CHAINS
        if not path.stem.startswith("mini") and path.stem not in of_no_paper
    ]
    assert set(told) == {path.stem for path in own}
    for path in own:
        chain = chain_file.read_chain(path)
        steps = steps_of(chain, tmp_path, encoder_folder="", label_folder="")
        epochs = sum(epochs_of(step) for step in steps)
        assert told[path.stem] == (len(steps), epochs), path.stem
        for step in chain["steps"]:
            eer = step.get("paper", {}).get("eer", "")
            assert isinstance(eer, float) or not eer, step["name"]


def test_a_step_without_what_it_needs_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="ssrl.yaml needs --label_folder="):
        rehearsed(("x", "ssrl", {"fixed": {"encoder_folder": None}}))


def test_defaults_of_a_chain_give_way_to_further_yamls(tmp_path):
    """A laptop's file after the chain, or an option, decides."""
    step = {"name": "x", "train": "hparams/ssrl.yaml"}
    chain = {"defaults": {"num_clusters": 8000}, "steps": [step]}
    (runner,) = steps_of(chain, tmp_path)
    assert runner.options["num_clusters"] == 8000
    (runner,) = steps_of(chain, tmp_path, num_clusters=5)
    assert runner.options["num_clusters"] == 5
    chain["overrides"] = ["hparams/mini.yaml"]
    (runner,) = steps_of(chain, tmp_path)
    assert "num_clusters" not in runner.options


@pytest.mark.parametrize(
    "name", ["adapt", "dino_ablation", "gates", "rounds", "ssrl_ablation"]
)
def test_chains_that_name_it_fit_a_laptop_too(name, tmp_path):
    """With hparams/mini.yaml, from a step that it made as well."""
    chain = chain_file.read_chain(RECIPE / f"chains/{name}.yaml")
    first = {"name": "made", "train": "hparams/contrastive.yaml"}
    first["fixed"] = {"encoder_folder": None}
    chain["steps"].insert(0, first)
    chain["overrides"] = ["hparams/mini.yaml"]
    made = {
        "encoder_folder": tmp_path / "made/export",
        "label_folder": tmp_path / "made/clusters",
    }
    options = {key: made[key] for key in chain.get("needs", [])}
    found = rehearsal.rehearse(steps_of(chain, tmp_path, **options), KNOWN)
    assert len(found) == len(chain["steps"])
    for built in found.values():
        assert built.dim == 64 and built.num_clusters in (None, 128)


def test_labels_of_its_own_are_embedded_for_the_outcome_alone(tmp_path):
    """Hours for each row of a table would bring a map that nobody asked for."""
    names = ["dino", "ssrl", "ssrl_again", "ceiling"]
    chain = {
        "steps": [
            {"name": name, "train": f"hparams/{name.partition('_')[0]}.yaml"}
            for name in names[:3]
        ]
    }
    chain["steps"].append(
        {
            "name": "ceiling",
            "train": "hparams/finetune.yaml",
            "needs_speakers": True,
        }
    )
    steps = steps_of(chain, tmp_path)
    assert [step.is_outcome for step in steps] == [False, False, True, False]
    assert [step.is_embedded for step in steps] == [True, False, True, True]
    for step in steps:
        scripts = [script for _, script, *_ in step.parts()]
        assert (step_module.label in scripts) == step.is_embedded
    chain["cluster"] = False
    assert not any(step.is_embedded for step in steps_of(chain, tmp_path))
