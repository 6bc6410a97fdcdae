"""The whole chain, as a user runs it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import RECIPE
from speechbrain.inference.speaker import SpeakerRecognition

from ssrl_brain.chains import pipeline
from ssrl_brain.chains import step as step_module
from ssrl_brain.chains.chain_file import read_chain
from ssrl_brain.commands import label, verify
from ssrl_brain.commands.keys import keys_of
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.handover.encoder_folder import ExportedEncoder

CHAINS = sorted((RECIPE / "chains").glob("*.yaml"))
CHAIN = """
name: tiny
overrides: [{overrides}]
steps:
    - name: untrained
      train: hparams/dino.yaml
      fixed: {number_of_epochs: 0}
    - name: dino
      train: hparams/dino.yaml
    - name: ssrl
      train: hparams/ssrl.yaml
      encoder: dino
      labels: dino
"""


@pytest.fixture(scope="module")
def chain(tiny_corpus, tmp_path_factory, recipe):
    """Command line of the chain, its output folder and its table."""
    from conftest import TINY

    root = tmp_path_factory.mktemp("chain")
    tiny = "".join(f"{key}: {value}\n" for key, value in TINY.items())
    (root / "tiny.yaml").write_text(tiny)
    text = CHAIN.replace("{overrides}", str(root / "tiny.yaml"))
    (root / "chain.yaml").write_text(text)
    line = [
        str(root / "chain.yaml"),
        f"--output_folder={root / 'out'}",
        "--device=cpu",
        "--noprogressbar",
        *(f"--{k}={v}" for k, v in tiny_corpus.items()),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(recipe)
        rows = pipeline.main(line)
    return line, root / "out", rows


@pytest.mark.parametrize("path", CHAINS, ids=lambda p: p.stem)
def test_chains_name_what_exists(path, recipe):
    chain = read_chain(path)
    keys = {"hparams/pseudo_label.yaml", "hparams/verify.yaml"}
    keys = set.union(*(keys_of(recipe / name) for name in keys))
    assert all((recipe / x).is_file() for x in chain.get("overrides", []))
    earlier = set()
    for step in chain["steps"]:
        own = keys | keys_of(recipe / step["train"])
        for options in ("options", "fixed"):
            assert set(step.get(options, {})) <= own, step["name"]
        assert {step.get("encoder"), step.get("labels")} <= earlier | {None}
        if "labels" in step:
            assert chain.get("cluster", True)
        assert step["name"] not in earlier
        earlier.add(step["name"])


def test_chain_ends_in_a_table(chain):
    _, output, rows = chain
    assert [row["name"] for row in rows] == ["untrained", "dino", "ssrl"]
    written = json.loads((output / "metrics.json").read_text())
    assert written == {"title": "", "stages": rows, "paper": {}}
    report = (output / "report.html").read_text()
    assert all(f"Stage {row['name']}</h2>" in report for row in rows)
    for row in rows:
        assert 0 <= row["eer"] <= 100
        assert {"min_dcf_0.05", "min_dcf_0.01", "nmi", "clusters"} <= set(row)


def test_chain_without_clusters_fine_tunes(
    chain, tiny_corpus, tmp_path, recipe, monkeypatch
):
    _, output, _ = chain
    text = f"""
name: labels
cluster: False
overrides: [{output.parent / "tiny.yaml"}]
steps:
    - name: tuned
      train: hparams/finetune.yaml
      encoder: {output / "dino"}
      fixed: {{label_fraction: 0.5, prepared_folder: {output / "prepared"}}}
"""
    (tmp_path / "labels.yaml").write_text(text)
    options = [f"--{key}={value}" for key, value in tiny_corpus.items()]
    monkeypatch.chdir(recipe)
    (row,) = pipeline.main(
        [
            str(tmp_path / "labels.yaml"),
            f"--output_folder={tmp_path / 'out'}",
            "--device=cpu",
            "--noprogressbar",
            *options,
        ]
    )
    assert 0 <= row["eer"] <= 100 and "nmi" not in row
    tuned = tmp_path / "out/tuned"
    assert len((tuned / "labelled_utterances.txt").read_text().split()) == 12
    assert not (tuned / "clusters").exists()


def test_finished_steps_are_skipped(chain, recipe, monkeypatch):
    line, _, rows = chain
    monkeypatch.chdir(recipe)
    monkeypatch.setattr(
        step_module.train,
        "main",
        lambda arguments: pytest.fail("trained again"),
    )
    assert pipeline.main(line) == rows


@pytest.mark.parametrize(
    "step, gone, again",
    [
        ("dino", ["export"], ["train"]),
        ("dino", ["clusters"], ["label"]),
        ("ssrl", ["verify/metrics.json"], ["verify"]),
        ("ssrl", ["labels", "verify"], ["train", "verify"]),
        ("untrained", ["export/embedding_model.ckpt"], ["train"]),
    ],
)
def test_what_a_finished_step_has_lost_is_made_again(
    chain, recipe, monkeypatch, step, gone, again
):
    line, output, rows = chain
    before = {
        path: path.read_bytes()
        for path in sorted((output / step).rglob("*"))
        if path.suffix in (".ckpt", ".npy", ".csv") and "save" not in path.parts
    }
    for name in gone:
        path = output / step / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    called = []
    for script in (step_module.train, step_module.label, step_module.verify):
        name, main = script.__name__.split(".")[-1], script.main

        def counted(arguments, name=name, main=main):
            called.append(name)
            return main(arguments)

        monkeypatch.setattr(script, "main", counted)
    monkeypatch.chdir(recipe)
    found = pipeline.main(line)
    assert called == again
    for row in (*found, *rows):
        row.pop("seconds_label", None)
    assert found == rows
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_that_fails_is_told_after_the_table(
    chain, recipe, monkeypatch, capsys
):
    line, output, _ = chain
    scores = next((output / "ssrl/verify/scores").glob("*.txt"))
    text = scores.read_text()
    scores.write_text("not a score\n")
    monkeypatch.chdir(recipe)
    with pytest.raises(ValueError, match="ssrl/verify/scores/"):
        pipeline.main(line)
    assert "| ssrl |" in capsys.readouterr().out
    scores.write_text(text)


def test_changed_options_are_refused(chain, recipe, monkeypatch):
    line, _, _ = chain
    monkeypatch.chdir(recipe)
    with pytest.raises(ValueError, match="another seed"):
        pipeline.main([*line, "--seed=6"])


def test_unknown_key_is_refused_before_anything_runs(chain, recipe):
    line, _, _ = chain
    result = subprocess.run(
        [sys.executable, "pipeline.py", *line, "--learning_speed=3"],
        cwd=recipe,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "error: --learning_speed is not a key of any stage"
    )
    assert "Traceback" not in result.stderr


def test_stock_speechbrain_scores_as_verify_did(chain, tiny_corpus, command):
    _, output, _ = chain
    model = SpeakerRecognition.from_hparams(str(output / "ssrl/export"))
    lines = (output / "ssrl/verify/scores/trials.txt").read_text().splitlines()
    for line in lines[:4]:
        score, _, enrol, test = line.split()
        files = [
            str(tiny_corpus["data_folder"] / "wav" / f"{name}.wav")
            for name in (enrol, test)
        ]
        expected, _ = model.verify_files(*files)
        assert abs(expected.item() - float(score)) < 1e-5


def test_export_embeds_as_training_did(chain, tiny_corpus):
    _, output, _ = chain
    table = Utterances.from_csv(output / "prepared/train.csv")
    encoder = ExportedEncoder(output / "dino/export")
    ours = encoder.embed(table, tiny_corpus["data_folder"])
    saved = np.load(output / "dino/clusters/embeddings.npy")
    torch.testing.assert_close(ours.numpy(), saved, atol=1e-5, rtol=0)
    names = (output / "dino/export/hyperparams.yaml").read_text()
    assert "ssrl_brain" not in names and str(output) not in names


def test_verify_refuses_a_list_with_a_missing_file(
    chain, tiny_corpus, command, tmp_path
):
    _, output, _ = chain
    bad = tmp_path / "bad.txt"
    bad.write_text("1 id00004/s0/0.wav id00004/s9/0.wav\n")
    options = {
        **tiny_corpus,
        "trial_lists": bad,
        "encoder_folder": output / "ssrl/export",
        "output_folder": tmp_path / "verify",
    }
    with pytest.raises(ValueError, match="id00004/s9/0"):
        verify.main(command("verify.yaml", **options))


def test_more_clusters_than_utterances_are_refused_at_once(
    start, command, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        label, "ExportedEncoder", lambda *a: pytest.fail("embedded")
    )
    options = {**start, "num_clusters": 99, "label_folder": tmp_path / "x"}
    with pytest.raises(ValueError, match="--num_clusters=99 is more than"):
        label.main(command("pseudo_label.yaml", **options))
