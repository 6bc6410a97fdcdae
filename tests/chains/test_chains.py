"""The chains that come with the recipe, and rounds that purify labels."""

import json
import re
import shutil
import tarfile

import pytest
import torch
from conftest import RECIPE, TINY

from ssrl_brain.chains import pipeline
from ssrl_brain.chains import step as step_module
from ssrl_brain.chains.chain_file import read_chain
from ssrl_brain.commands import command_line
from ssrl_brain.commands.keys import keys_of
from ssrl_brain.system import errors
from ssrl_brain.training.log import read_history

CHAINS = sorted((RECIPE / "chains").glob("*.yaml"))


@pytest.fixture(autouse=True)
def in_the_recipe(monkeypatch, recipe):
    """Chains name their files from there."""
    monkeypatch.chdir(recipe)


@pytest.mark.parametrize("path", CHAINS, ids=lambda p: p.stem)
def test_steps_name_earlier_steps_and_known_keys(path):
    chain = read_chain(path)
    made = []
    for step in chain["steps"]:
        assert step["name"] not in made
        for source in ("encoder", "labels"):
            assert step.get(source, "none") in [*made, "none"]
        known = set.union(
            keys_of(step["train"]),
            keys_of("hparams/pseudo_label.yaml"),
            keys_of("hparams/verify.yaml"),
        )
        options = {**step.get("options", {}), **step.get("fixed", {})}
        assert set(options) <= known, step["name"]
        made.append(step["name"])


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

    train = step_module.train.main
    calls = []

    def killed_in_the_third(arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(arguments)

    with monkeypatch.context() as patch:
        patch.setattr(step_module.train, "main", killed_in_the_third)
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


CHECKED = """
name: checked
steps:
    - {name: a, train: hparams/dino.yaml}
    - name: b
      train: hparams/contrastive.yaml
      encoder: a
      fixed: {batch_size: 2}
"""
WRONG = {
    "a list": ("- name: x", "must hold lines"),
    "a word": ("word", "must hold lines"),
    "no steps": ("name: x", "lacks steps"),
    "steps of another kind": ("name: x\nsteps: {a: 1}", "list of steps"),
    "a step of another kind": ("name: x\nsteps: [a]", "step 1 must hold"),
    "no name": ("steps: [{name: a, train: hparams/dino.yaml}]", "lacks name"),
    "no YAML": ("name: x\nsteps: [{name: a}]", "step 1 lacks train"),
    "a key of the chain": (CHECKED + "opions: {lr: 1}", "mean options"),
    "a key of a step": (
        CHECKED.replace("fixed", "fixd"),
        "step 2: fixd .*mean fixed",
    ),
    "options of another kind": (CHECKED + "options: [lr]", "options must be"),
    "a key in options": (CHECKED + "options: {rl: 1, lrr: 2}", "mean lr"),
    "a key in fixed": (
        CHECKED.replace("batch_size", "batchsize"),
        "batchsize in fixed of step b .*mean batch_size",
    ),
    "a key of another stage in fixed": (
        CHECKED.replace("batch_size", "label_queue_length"),
        "label_queue_length in fixed of step b",
    ),
    "a key in needs": (CHECKED + "needs: [encodr_folder]", "mean encoder_fol"),
    "a step that is not there": (CHECKED.replace("encoder: a", "encoder: c"), "c of"),
    "a step that comes later": (CHECKED.replace("encoder: a", "encoder: b"), "b of"),
    "two steps of one name": (CHECKED.replace("name: b", "name: a"), "two steps"),
    "a value": (CHECKED.replace("batch_size: 2", "batch_size: 0"), "batch_size=0"),
    "a key of the corpus": (CHECKED + "corpus: {sede: 1}", "mean seed"),
    "no YAML at all": (CHECKED + "a: [", "chain.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("text, words", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_with_a_chain_is_told_before_it_runs(
    text, words, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        step_module.train, "main", lambda arguments: pytest.fail("trained")
    )
    (tmp_path / "chain.yaml").write_text(text)
    line = [str(tmp_path / "chain.yaml"), f"--output_folder={tmp_path}/out"]
    if "corpus" not in text:
        line.append(f"--data_folder={tmp_path}")
    with pytest.raises(SystemExit) as stop, errors.one_line_errors([]):
        pipeline.main(line)
    assert re.search(words, stop.value.code), stop.value.code
    assert "\n" not in stop.value.code
    assert not (tmp_path / "out").exists()


def test_a_further_file_is_checked_against_all_stages_of_the_chain(
    tmp_path, monkeypatch
):
    calls = []
    monkeypatch.setattr(step_module.train, "main", calls.append)
    monkeypatch.setattr(
        step_module.Step,
        "run",
        lambda step, done: (
            step.call(
                step_module.train.main,
                step.yaml,
                {"output_folder": step.folder},
            )
            or {}
        ),
    )
    monkeypatch.setattr(pipeline.report, "main", lambda arguments: None)
    text = "inherit: hparams/dino.yaml\nmy_key: 1\n"
    (tmp_path / "own.yaml").write_text(text)
    (tmp_path / "chain.yaml").write_text(
        CHECKED.replace(
            "train: hparams/dino.yaml", f"train: {tmp_path}/own.yaml"
        )
    )
    more = tmp_path / "more.yaml"
    more.write_text("my_key: 2\nlabel_queue_length: 3\ncohort_top: 4\n")
    line = [str(tmp_path / "chain.yaml"), str(more), "hparams/mini.yaml"]
    line += [
        f"--data_folder={tmp_path}/data",
        f"--output_folder={tmp_path}/o=t #1",
    ]
    pipeline.main(line)
    own, contrastive = (command_line.parse(call) for call in calls)
    assert own[2]["my_key"] == 2 and "my_key" not in contrastive[2]
    assert contrastive[2]["output_folder"] == f"{tmp_path}/o=t #1/b"
    assert (tmp_path / "o=t #1/metrics.json").is_file()
    more.write_text("my_kye: 2\n")
    with pytest.raises(ValueError, match="my_kye in .*more.yaml .*mean my_key"):
        pipeline.main(line)
    with pytest.raises(ValueError, match="--devise is not .*mean --device"):
        pipeline.main([*line, "--devise=cpu"])


def test_all_that_a_chain_needs_is_told_at_once(tmp_path):
    line = ["chains/ssrl_ablation.yaml", f"--data_folder={tmp_path}"]
    with pytest.raises(ValueError) as caught:
        pipeline.main(line)
    assert "--encoder_folder=" in str(caught.value)
    assert "--label_folder=" in str(caught.value)


def test_own_audio_needs_no_list_and_no_number(tiny_corpus, tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    source = tiny_corpus["data_folder"] / "wav"
    for number, path in enumerate(sorted(source.rglob("*.wav"))[:20]):
        shutil.copy(path, audio / f"{number}.wav")
    corpus = {"data_folder": audio, "number_of_epochs": 1}
    line = tiny_line("own", tmp_path, corpus)
    rows = pipeline.main([*line, "--no_audio"])
    out = tmp_path / "out"
    assert [row["name"] for row in rows] == ["contrastive", "ssrl"]
    source = json.loads((out / "contrastive/clusters/source.json").read_text())
    assert source["suggestion"]["num_clusters"] == source["num_clusters"]
    text = (out / "ssrl/conditions.json").read_text()
    settings = json.loads(text)["values"]
    assert settings["num_clusters"] == source["num_clusters"]
    lines = (out / "clusters.csv").read_text().splitlines()
    assert lines[0] == "file,cluster,distance"
    assert {line.split(",")[0] for line in lines[1:]} == {
        f"{number}.wav" for number in range(20)
    }
    outcome = json.loads((out / "outcome.json").read_text())
    assert outcome["model"] == str(out / "ssrl/export")
    report = (out / "report.html").read_text()
    assert "(paper)" not in report and "<audio" not in report
    assert pipeline.main([*line, "--no_audio"]) == rows  # all finished


def test_own_audio_may_be_one_tar(tiny_corpus, tmp_path):
    source = tiny_corpus["data_folder"] / "wav"
    with tarfile.open(tmp_path / "own.tar", "w") as tar:
        for number, path in enumerate(sorted(source.rglob("*.wav"))[:20]):
            tar.add(path, f"{number}.wav")
    corpus = {"data_folder": tmp_path / "own.tar", "number_of_epochs": 1}
    pipeline.main(tiny_line("own", tmp_path, corpus))
    lines = (tmp_path / "out/clusters.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {
        f"{number}.wav" for number in range(20)
    }
    report = (tmp_path / "out/report.html").read_text()
    assert "<audio" in report and "not there any more" not in report
