"""tests/recipes/VoxCeleb.csv, by which SpeechBrain's recipe tests run ours."""

import csv
import re
import shlex
import shutil

import pytest
from conftest import ROOT

from ssrl_brain.commands.command_line import read_yaml

COLUMNS = (
    "Task,Dataset,Script_file,Hparam_file,Data_prep_file,Readme_file,"
    "Result_url,HF_repo,test_debug_flags,test_debug_checks"
).split(",")
with open(ROOT / "tests/recipes/VoxCeleb.csv", newline="") as file:
    ROWS = list(csv.DictReader(file))
STAGES = [row["Hparam_file"].rsplit("/", 1)[1] for row in ROWS]


def test_every_stage_has_a_row_and_files_exist():
    assert all(list(row) == COLUMNS for row in ROWS)
    found = {path.name for path in (ROOT / "hparams").glob("*.yaml")}
    # no stages of their own
    overrides = {"mini.yaml", "two_stage.yaml", "dino_study.yaml"}
    assert set(STAGES) == found - overrides
    for row in ROWS:
        for column in COLUMNS[2:6]:
            assert (ROOT / row[column]).is_file(), row[column]


@pytest.mark.parametrize("row", ROWS, ids=STAGES)
def test_flags_are_keys_of_the_stage(row):
    keys = set(read_yaml(ROOT / row["Hparam_file"]))
    flags = shlex.split(row["test_debug_flags"])
    assert {flag[2:].partition("=")[0] for flag in flags} <= keys
    assert "--output_folder" not in row["test_debug_flags"]  # the runner's own


def test_rows_run_one_after_the_other(tiny_corpus, tmp_path, monkeypatch):
    """As the toolkit's runner does, with its output folders and its checks."""
    from ssrl_brain.commands import label, train

    samples = tmp_path / "tests/samples/ASR"
    samples.mkdir(parents=True)
    waves = sorted((tiny_corpus["data_folder"] / "wav").rglob("*.wav"))
    for number, path in enumerate(waves[:12]):
        shutil.copy(path, samples / f"spk1_snt{number}.wav")
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    scripts = {"train.py": train, "pseudo_label.py": label}
    ran = []
    for number, row in enumerate(ROWS, start=2):
        if not row["test_debug_flags"]:
            continue
        folder = tmp_path / f"tests/tmp/VoxCeleb_row_{number:02d}"
        scripts[row["Script_file"].rsplit("/", 1)[1]].main(
            [
                row["Hparam_file"],
                *shlex.split(row["test_debug_flags"]),
                "--device=cpu",
                "--noprogressbar",
                f"--output_folder={folder}",
            ]
        )
        checks = re.search(r"file_exists=\[(.*?)\]", row["test_debug_checks"])
        for name in checks.group(1).split(",") if checks else ():
            assert (folder / name).is_file(), (row["Hparam_file"], name)
        ran.append(row["Hparam_file"].rsplit("/", 1)[1])
    # the others need speakers, faces or a list of trials
    left = {"finetune.yaml", "audio_visual.yaml", "verify.yaml"}
    assert set(STAGES) - set(ran) == left
