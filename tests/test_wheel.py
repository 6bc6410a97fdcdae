"""The package as `pip install` brings it, away from the repository."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, TINY
from ruamel.yaml import YAML

from ssrl_brain.cli import VERBS


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder that the wheel was installed into, without what it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools leaves a folder where it builds
    for name in ("ssrl_brain", "hparams", "recipes"):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    here = ["--no-deps", "--no-build-isolation"]
    for words in (
        ["wheel", *here, f"--wheel-dir={folder}", str(source)],
        ["install", *here, f"--target={folder / 'site'}", "--no-index"],
    ):
        if words[0] == "install":
            words.append(str(next(folder.glob("*.whl"))))
        done = subprocess.run([*pip, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def run(installed, tmp_path):
    """Runs ssrl-brain in an empty folder; returns what it printed."""

    def run(*arguments, status=0):
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run(
            [sys.executable, installed / "bin/ssrl-brain", *arguments],
            cwd=tmp_path,
            env=environment | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        assert str(ROOT) not in done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def test_every_yaml_travels(installed):
    for source, target in (
        ("hparams", "hparams"),
        ("recipes/VoxCeleb/ssrl/chains", "chains"),
    ):
        folder = installed / "ssrl_brain/recipe" / target
        assert not folder.is_symlink()
        for path in (ROOT / source).rglob("*.yaml"):
            copy = folder / path.relative_to(ROOT / source)
            assert copy.read_bytes() == path.read_bytes()


def test_verbs_chains_and_keys_are_told(run):
    told = run()
    assert all(f"  {verb} " in told for verb in VERBS)
    assert "chains/mini.yaml" in run("chains")
    told = run("train", "hparams/ssrl.yaml", "--help")
    assert "--label_queue_length=5" in told and "Table VII" in told
    assert "--min_seconds=1.0" in told  # from a part that it inherits
    assert "none of train, label" in run("trian", status=1)


def test_first_step_of_the_mini_chain_runs(run, tiny_corpus, tmp_path):
    path = ROOT / "recipes/VoxCeleb/ssrl/chains/mini.yaml"
    chain = YAML(typ="safe").load(path)
    chain["steps"] = chain["steps"][:1]
    del chain["way"]  # to a step that is not there
    with open(tmp_path / "first.yaml", "w") as file:
        YAML().dump(chain, file)
    tiny = (
        "channels",
        "attention_channels",
        "emb_dim",
        "num_clusters",
        "batch_size",
    )
    told = run(
        "pipeline",
        "first.yaml",
        *(f"--{key}={TINY[key]}" for key in tiny),
        *(f"--{key}={value}" for key, value in tiny_corpus.items()),
        "--min_seconds=0.3",
        "--num_restarts=1",
        "--num_bootstraps=0",
        "--num_workers=0",
        "--device=cpu",
        "--noprogressbar",
        "--output_folder=out",
    )
    assert "| untrained |" in told
    assert (tmp_path / "out/untrained/export/embedding_model.ckpt").is_file()
    assert (tmp_path / "out/report.html").is_file()
