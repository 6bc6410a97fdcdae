"""Changed conditions between stop and start are noticed by name."""

import json
import shutil

import pytest
from conftest import ROOT

from ssrl_brain.commands import train
from ssrl_brain.commands.command_line import read_yaml
from ssrl_brain.training import conditions
from ssrl_brain.training.log import read_history


@pytest.fixture(scope="module")
def finished(start, command, tmp_path_factory):
    """Output folder of a run of one epoch."""
    folder = tmp_path_factory.mktemp("conditions") / "run"
    options = {**start, "number_of_epochs": 1}
    train.main(command("ssrl.yaml", **options, output_folder=folder))
    return folder


@pytest.fixture
def resume(finished, start, command, tmp_path):
    """Goes on in a copy of that folder, with other options."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)

    def run(*line, **changes):
        options = {**start, "number_of_epochs": 1, **changes}
        given = command("ssrl.yaml", **options, output_folder=folder)
        train.main([*given, *line])
        return folder

    return run


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_clusters": 5}, "num_clusters=7, now 5"),
        ({"seed": 7}, "seed=1986, now 7"),
        ({"lr": 0.5}, "lr=0.0005, now 0.5"),
        ({"snr": "[1, 2]"}, r"snr=\[0.0, 20.0\], now \[1, 2\]"),
        ({"margin": 0, "scale": 3}, r"margin=0.2, now 0 \(and 1 more\)"),
        ({"noise_folder": "elsewhere"}, "now elsewhere"),
        (
            {"assignment": "!new:torch.nn.Identity"},
            "assignment=!new:ssrl_brain.*, now !new:torch.nn.Identity:",
        ),
    ],
)
def test_a_changed_value_is_refused_by_name(changes, message, resume):
    with pytest.raises(ValueError, match=message) as caught:
        resume(**changes)
    assert "--allow_changes=True" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_changed_run_options_are_refused(resume):
    with pytest.raises(ValueError, match="precision=fp32, now bf16"):
        resume("--precision=bf16")
    with pytest.raises(ValueError, match="grad_accumulation_factor=1, now 2"):
        resume("--grad_accumulation_factor=2")


def test_another_noise_in_the_same_place_is_refused(resume, start, tmp_path):
    noise, prepared = tmp_path / "musan", tmp_path / "prepared"
    shutil.copytree(start["noise_folder"], noise)
    folder = resume(
        prepared_folder=prepared, noise_folder=noise, allow_changes=True
    )
    assert json.loads((folder / "conditions.json").read_text())["values"][
        "noise_folder"
    ] == str(noise)
    (noise / "noise/a/0.wav").unlink()
    with pytest.raises(ValueError, match="begun with noise="):
        resume(prepared_folder=prepared, noise_folder=noise)


def test_what_does_not_matter_may_change(resume, caplog):
    folder = resume(
        "--ckpt_interval_steps=1",
        num_workers=1,
        valid_every=2,
        tensorboard=True,
    )
    assert len(read_history(folder)) == 1
    assert "was begun with" not in caplog.text


def test_a_longer_run_is_warned_about(resume, caplog):
    folder = resume(number_of_epochs=2)
    assert len(read_history(folder)) == 2
    assert "was begun with number_of_epochs=1, now 2" in caplog.text


def test_allowed_changes_are_warned_about_once(resume, caplog):
    resume(margin=0.3, allow_changes=True)
    assert "was begun with margin=0.2, now 0.3" in caplog.text
    caplog.clear()
    resume(margin=0.3)
    assert "was begun with" not in caplog.text


def test_other_code_is_warned_about(resume, caplog, monkeypatch):
    found = conditions.versions()
    monkeypatch.setattr(
        conditions, "versions", lambda: {**found, "its code": "another"}
    )
    resume()
    assert f"its code={found['its code']}, now another" in caplog.text


def test_a_run_of_unknown_conditions_is_warned_about(
    finished, resume, tmp_path, caplog
):
    (tmp_path / "run/conditions.json").unlink()
    resume()
    assert "has a checkpoint but no conditions.json" in caplog.text


def test_before_the_first_checkpoint_anything_may_change(resume, tmp_path):
    shutil.rmtree(tmp_path / "run/save")
    folder = resume(margin=0.3)
    written = json.loads((folder / "conditions.json").read_text())
    assert written["values"]["margin"] == 0.3


def test_free_and_warned_keys_exist():
    stages = (ROOT / "hparams").glob("*.yaml")
    keys = set.union(*(set(read_yaml(path)) for path in stages))
    assert conditions.FREE | conditions.WARNED <= keys
