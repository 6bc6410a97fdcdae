"""Command lines."""

import runpy
import sys

import pytest
import torch
from conftest import RECIPE

from ssrl_brain.commands import command_line
from ssrl_brain.commands.help import print_help
from ssrl_brain.system import errors, process

STAGE = """# comment
data_folder: !PLACEHOLDER
batch_size: 4
lr: 0.1
output_folder: !ref results/<batch_size>
log: !new:ssrl_brain.training.log.EpochLog
    folder: !ref <output_folder>
    tensorboard: False
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stage.yaml").write_text(STAGE)
    (tmp_path / "mini.yaml").write_text(
        "batch_size: 2\nlabel_queue_length: 1\n"
    )
    (tmp_path / "more.yml").write_text("batch_size: 3\nlr: 0.5\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    return tmp_path


def overrides(*arguments, **options):
    return command_line.parse(list(arguments), **options)[2]


def test_keys_of_the_command_line(files):
    stage, options, found = command_line.parse(
        ["stage.yaml", "--lr=0.3", "--device=cpu", "--data_folder=/x y"]
    )
    assert stage == "stage.yaml" and options.device == "cpu"
    assert found == {"lr": 0.3, "data_folder": "/x y"}


def test_further_files_apply_where_the_stage_has_the_key(files):
    assert overrides("stage.yaml", "mini.yaml") == {"batch_size": 2}
    found = overrides("stage.yaml", "mini.yaml", "more.yml", "empty.yaml")
    assert found == {"batch_size": 3, "lr": 0.5}  # later files win


def test_the_command_line_wins_wherever_it_stands(files):
    for arguments in (
        ["stage.yaml", "more.yml", "--lr=7"],
        ["stage.yaml", "--lr=7", "more.yml"],
        ["--lr=7", "stage.yaml", "more.yml"],
    ):
        assert overrides(*arguments) == {"batch_size": 3, "lr": 7}


@pytest.mark.parametrize("flag", ["--debug", "--noprogressbar"])
def test_a_flag_does_not_swallow_the_file_behind_it(files, flag):
    assert overrides(flag, "stage.yaml") == {}
    assert overrides("stage.yaml", flag, "mini.yaml") == {"batch_size": 2}


def test_an_option_keeps_its_value(files):
    stage, options, _ = command_line.parse(
        ["stage.yaml", "--log_config", "more.yml"]
    )
    assert stage == "stage.yaml" and options.log_config == "more.yml"


def test_the_default_stage(files):
    stage, _, found = command_line.parse(["--lr=1"], default_yaml="stage.yaml")
    assert stage == "stage.yaml" and found == {"lr": 1}
    with pytest.raises(ValueError, match="name a YAML file"):
        command_line.parse(["--lr=1"])


@pytest.mark.parametrize(
    "option, message",
    [
        ("--batchsize=3", r"--batchsize .* \(did you mean --batch_size\?\)"),
        ("--zzz=3", "--zzz is not a key of stage.yaml$"),
        ("--label_queue_length=3", "--label_queue_length is not a key of"),
    ],
)
def test_unknown_keys_are_refused(files, option, message):
    with pytest.raises(ValueError, match=message) as error:
        command_line.parse(["stage.yaml", "mini.yaml", option])
    assert "\n" not in str(error.value)


def test_missing_files_are_named(files):
    for arguments in (["none.yaml"], ["stage.yaml", "none.yaml"]):
        with pytest.raises(FileNotFoundError, match="none.yaml does not exist"):
            command_line.parse(arguments)


def test_load_applies_overrides_and_names_placeholders(files):
    given = {"data_folder": "x", "batch_size": 8}
    hparams = command_line.load("stage.yaml", given)
    assert hparams["output_folder"] == "results/8"
    assert str(hparams["log"].folder) == "results/8"
    with pytest.raises(ValueError, match="needs --data_folder=..., any folder"):
        command_line.load("stage.yaml", {})


def test_errors_of_users_are_one_line():
    for error in (ValueError, FileNotFoundError, PermissionError):
        with pytest.raises(SystemExit) as stop, errors.one_line_errors([]):
            raise error("two\n  lines")
        assert stop.value.code == "error: two lines"
    with pytest.raises(SystemExit) as stop, errors.one_line_errors([]):
        raise torch.OutOfMemoryError("2 GiB")
    assert stop.value.code == (
        "error: 2 GiB: not enough memory, lower --batch_size, --batch_seconds "
        "or --num_workers"
    )


@pytest.mark.parametrize("arguments", [[], ["--debug"]])
def test_ctrl_c_is_one_line_and_the_status_of_shells(arguments, capsys):
    with pytest.raises(SystemExit) as stop, errors.one_line_errors(arguments):
        raise KeyboardInterrupt
    assert stop.value.code == 130
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "the same command goes on" in told


STAGE_OF_ITS_OWN = """
inherit: hparams/contrastive.yaml
output_folder: !ref results/softer/<seed>
softness: 0.2
contrastive_loss: !new:ssrl_brain.losses.contrastive.NTXentLoss
    temperature: !ref <softness>
"""


def test_a_stage_inherits_and_takes_every_key(files):
    (files / "softer.yaml").write_text(STAGE_OF_ITS_OWN)
    given = ["--data_folder=x", "--softness=0.3", "--emb_dim=24", "--seed=7"]
    stage, _, overrides = command_line.parse(["softer.yaml", *given])
    hparams = command_line.load(stage, overrides)
    assert hparams["contrastive_loss"].temperature == 0.3
    assert hparams["embedding_model"].fc.conv.out_channels == 24
    assert hparams["output_folder"] == "results/softer/7"
    assert hparams["batch_size"] == 256
    with pytest.raises(ValueError, match="did you mean --softness"):
        command_line.parse(["softer.yaml", "--softnes=1"])


def test_inheriting_what_is_not_there_names_it(files):
    (files / "own.yaml").write_text("inherit: dinosaur.yaml\n")
    with pytest.raises(FileNotFoundError, match="dinosaur.yaml does not exist"):
        command_line.parse(["own.yaml"])


def test_a_file_that_inherits_itself_is_told(files):
    (files / "a.yaml").write_text("inherit: b.yaml\n")
    (files / "b.yaml").write_text("inherit: a.yaml\n")
    with pytest.raises(ValueError, match="a.yaml inherits itself"):
        command_line.parse(["a.yaml"])


def test_a_broken_yaml_is_told_in_one_line(files):
    (files / "stage.yaml").write_text("a: [1\nb: 2\n")
    with pytest.raises(SystemExit) as stop, errors.one_line_errors([]):
        command_line.parse(["stage.yaml"])
    assert "stage.yaml" in stop.value.code and "\n" not in stop.value.code


SCRIPTS = [
    *(
        path.name
        for path in sorted(RECIPE.glob("*.py"))
        if "__main__" in path.read_text(encoding="utf-8")
    ),
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_explains_itself(name, monkeypatch, capsys):
    path = RECIPE / name
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(path), run_name="__main__")
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert f"python {name}" in told and "--" in told


def test_debug_and_errors_of_programmers_keep_their_traceback():
    with pytest.raises(ValueError), errors.one_line_errors(["--debug"]):
        raise ValueError
    with pytest.raises(TypeError), errors.one_line_errors([]):
        raise TypeError


def test_help_is_printed_and_ends_the_program(capsys):
    print_help(["stage.yaml"], "text")
    assert capsys.readouterr().out == ""
    for flag in ("-h", "--help"):
        with pytest.raises(SystemExit) as stop:
            print_help([flag], "\ntext\n")
        assert stop.value.code == 0
        assert capsys.readouterr().out == "text\n"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_keeping_memory_is_harmless():
    process.keep_freed_memory()
    assert len(bytearray(10**8)) == 10**8
