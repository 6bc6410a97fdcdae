"""Values: text as it was typed, numbers that make sense, one line if not."""

import math

import pytest
from conftest import ROOT
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from test_hparams import ENCODERS, HPARAMS, STAGES

from ssrl_brain.commands import command_line, keys, ranges, values
from ssrl_brain.commands.yaml_files import read_yaml, tag_of

STAGE = """
output_folder: !ref results/<seed>
data_folder: !PLACEHOLDER
trial_lists: null
noise_folder: null
seed: 1
batch_size: 4
lr: 0.1
snr: [0, 20]
crop_seconds: [1.0, 2.0]
channels: [8, 8]
plateau_patience: 2
spread_crops: True
schedule: !new:ssrl_brain.training.schedules.Constant
    value: 0.5
own_number: 3
own_name: fast
own_list: [a]
own_map: {a: 1}
own_nothing: null
save: !ref <output_folder>/save
again: !ref <save>
nested: {files: [!ref <output_folder>/a, !ref <data_folder>], rate: !ref <lr>}
both: !ref <output_folder>/<seed>
"""


@pytest.fixture
def stage(tmp_path):
    path = tmp_path / "stage.yaml"
    path.write_text(STAGE)
    return str(path)


def load(stage, *options):
    line = [stage, "--data_folder=x", *options]
    file, _, overrides = command_line.parse(line)
    return command_line.load(file, overrides)


names = st.text(
    st.characters(exclude_categories=["C"], exclude_characters="\u2028\u2029"),
    min_size=1,
    max_size=30,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names.filter(lambda x: not x.startswith("~") and not values.TAG.match(x))
)
@example("out #a")
@example("2026-11-24")
@example("1e3")
@example("null")
@example("no")
@example("0x1f")
@example(".inf")
@example("12:30:45")
@example("(a, b)")
@example("<lr>")
@example("<output_folder>")
@example("a<nothing>b")
@example("1/0")
@example("9**9**9**9")
@example("a=b=c")
@example("a: b")
@example("- a")
@example("[a")
@example("*a")
@example("!x")
@example("?")
@example(":")
@example("'")
@example('"')
@example("\\n")
@example("%s")
@example(" two  spaces ")
@example("long " * 40)
def test_folders_are_what_was_typed(stage, typed):
    found = load(stage, f"--output_folder={typed}", f"--data_folder={typed}")
    assert found["output_folder"] == found["data_folder"] == typed
    assert found["save"] == found["again"] == f"{typed}/save"
    assert found["nested"]["files"] == [f"{typed}/a", typed]
    assert found["both"] == f"{typed}/1"
    written = YAML().load(
        command_line.resolved_yaml(
            stage, {"output_folder": typed, "data_folder": typed}
        )
    )
    assert written["save"] == f"{typed}/save"


def test_home_is_meant_by_a_tilde(stage, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/me")
    found = load(stage, "--output_folder=~/x", "--trial_lists=~/a,b~,~/c")
    assert found["output_folder"] == "/me/x" and found["save"] == "/me/x/save"
    assert found["trial_lists"] == "/me/a,b~,/me/c"
    more = tmp_path / "more.yaml"
    more.write_text("data_folder: ~/y\ntrial_lists: [~/a, b]\n")
    file, _, overrides = command_line.parse([stage, str(more)])
    found = command_line.load(file, overrides)
    assert found["data_folder"] == "/me/y"
    assert found["trial_lists"] == ["/me/a", "b"]


def test_nothing_typed_is_nothing(stage):
    assert load(stage, "--noise_folder=")["noise_folder"] is None
    assert load(stage, "--noise_folder=null")["noise_folder"] == "null"


def test_tags_still_are_yaml(stage):
    found = load(stage, "--noise_folder=!ref <output_folder>/noise")
    assert found["noise_folder"] == "results/1/noise"
    name = "ssrl_brain.training.schedules"
    found = load(
        stage, f"--schedule=!new:{name}.Linear {{start: 0, end: 1, epochs: 2}}"
    )
    assert found["schedule"](1) == 0.5
    assert load(stage, "--schedule={value: 0.25}")["schedule"](0) == 0.25


@pytest.mark.parametrize(
    "option, words",
    [
        ("batch_size=0", "batch_size=0 must be a whole number, at least 1"),
        ("batch_size=-3", "batch_size=-3 must be a whole number"),
        ("batch_size=2.5", "batch_size=2.5 must be a whole number"),
        ("batch_size=many", "batch_size=many must be a whole number"),
        ("batch_size=", "batch_size=None must be a whole number"),
        ("batch_size=[4]", "must be a whole number"),
        ("batch_size=True", "batch_size=True must be a whole number"),
        ("lr=0", "lr=0 must be a number, above 0"),
        ("lr=-0.1", "lr=-0.1 must be a number, above 0"),
        ("lr=.nan", "lr=nan must be"),
        ("lr=.inf", "lr=inf must be"),
        ("lr=1e-3x", "lr=1e-3x must be"),
        ("snr=5", r"snr=5 must be \[low, high\], two numbers"),
        ("snr=[20, 5]", r"snr=\[20, 5\] must be \[low, high\]"),
        ("snr=[1, 2, 3]", r"must be \[low, high\]"),
        ("crop_seconds=0", r"must be \[low, high\], two numbers, or a number"),
        ("crop_seconds=[2, 1]", r"must be \[low, high\]"),
        ("channels=8", "channels=8 must be a list of whole numbers"),
        ("channels=[8, 0]", "must be a list of whole numbers, at least 1"),
        ("channels=[]", "must be a list of whole numbers, at least 1"),
        ("spread_crops=3", "spread_crops=3 must be True or False"),
        ("schedule=0.3", "schedule=0.3 must be an object: !new:"),
        ("own_number=text", "own_number=text must be a number"),
        ("own_list=text", "own_list=text must be a list"),
        ("own_map=3", "own_map=3 must be {key: value}"),
        ("output_folder=", "output_folder=None must be text"),
        ("lr=[1", r"--lr=\[1 is not YAML"),
        ("lr=1: 2", "--lr=1: 2 is not YAML"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_meant(stage, option, words):
    with pytest.raises(ValueError, match=words) as caught:
        load(stage, f"--{option}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "option, key, value",
    [
        ("crop_seconds=3", "crop_seconds", 3),
        ("plateau_patience=.inf", "plateau_patience", math.inf),
        ("own_number=0.5", "own_number", 0.5),
        ("own_number=null", "own_number", None),
        ("own_name=7", "own_name", "7"),
        ("own_nothing={a: [1]}", "own_nothing", {"a": [1]}),
        ("own_nothing=-1", "own_nothing", -1),
        ("lr=!ref <own_number>", "lr", 3),
        ("snr=[-5, -5]", "snr", [-5, -5]),
    ],
)
def test_values_that_can(stage, option, key, value):
    assert load(stage, f"--{option}")[key] == value


def test_all_mistakes_are_told_at_once(stage):
    with pytest.raises(ValueError) as caught:
        load(stage, "--lr=0", "--batch_size=0")
    assert str(caught.value).count("must be") == 2
    with pytest.raises(ValueError) as caught:
        command_line.parse([stage, "--rl=0", "--batchsize=0"])
    assert str(caught.value).count("not a key") == 2
    file = str(ROOT / "hparams/ssrl.yaml")
    with pytest.raises(ValueError) as caught:
        command_line.load(file, {})
    for key in ("data_folder", "encoder_folder", "label_folder"):
        assert f"--{key}=..." in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_of_files_are_looked_at_as_well(stage, tmp_path):
    more = tmp_path / "more.yaml"
    for text, words in [
        ("batch_size: 0", "batch_size=0 must be"),
        ("output_folder: 2026-11-24", "output_folder=2026-11-24 must be text"),
        ("trial_lists: [1]", "must be text"),
    ]:
        more.write_text(text)
        with pytest.raises(ValueError, match=words):
            load(stage, str(more))
    more.write_text(STAGE.replace("batch_size: 4", "batch_size: 0"))
    with pytest.raises(ValueError, match="batch_size=0 must be"):
        load(str(more))


@pytest.mark.parametrize("path", HPARAMS, ids=lambda p: p.stem)
@pytest.mark.parametrize("more", [None, *ENCODERS], ids=str)
def test_shipped_files_pass(path, more):
    overrides = read_yaml(more) if more else {}
    stage = read_yaml(path)
    values.check(stage, {k: v for k, v in overrides.items() if k in stage})


def test_the_table_has_every_number_of_the_stages_and_no_other():
    numbers = {
        key
        for path in HPARAMS
        if "data_folder" in read_yaml(path)
        for key, value in read_yaml(path).items()
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, (int, float))
        and not isinstance(item, bool)
        and not tag_of(value)
    }
    own = {"grad_accumulation_factor", "total_epochs"}
    assert set(ranges.RANGES) - own == numbers
    assert len(STAGES) == 8 and len(numbers) > 50


@pytest.mark.parametrize(
    "option, words",
    [
        ("--max_grad_norm=-1", "max_grad_norm=-1.0 must be a number, above 0"),
        ("--grad_accumulation_factor=0", "must be a whole number, at least 1"),
        ("--ckpt_interval_steps=x", "invalid int value: 'x'"),
        ("--precision=fp8", "invalid choice: 'fp8'"),
        ("--param_file=x", "--param_file cannot be given"),
        ("--devic=cpu", r"--devic .* \(did you mean --device\?\)"),
        ("--lr", "--lr needs a value"),
        ("lr=3", "write options as --key=value, not lr"),
    ],
)
def test_options_of_the_toolkit(stage, option, words):
    with pytest.raises(ValueError, match=words) as caught:
        command_line.parse([stage, option])
    assert "\n" not in str(caught.value).strip()


def test_options_of_two_words(stage):
    found = load(stage, "--lr", "0.5", "--output_folder", "a", "b")
    assert found["lr"] == 0.5 and found["output_folder"] == "a b"


# ---------------------------- keys of further files -------------------------


def test_a_typo_in_a_further_file_is_told(stage, tmp_path):
    more = tmp_path / "more.yaml"
    more.write_text("batchsize: 2\nlabel_queue_length: 3\nzzz: 1\n")
    with pytest.raises(ValueError) as caught:
        command_line.parse([stage, str(more)])
    told = str(caught.value)
    assert f"batchsize in {more} is not a key of any stage" in told
    assert "(did you mean batch_size?)" in told
    assert "zzz" in told and "label_queue_length" not in told
    base = tmp_path / "base.yaml"
    base.write_text("inherit: more.yaml\nlr: 1\n")
    with pytest.raises(ValueError, match="batchsize in .*base.yaml"):
        command_line.parse([stage, str(base)])
    more.write_text("inherits: base.yaml\n")
    with pytest.raises(ValueError, match="did you mean inherit"):
        command_line.parse([stage, str(more)])


def test_keys_of_other_stages_are_known(stage, tmp_path):
    more, other = tmp_path / "more.yaml", tmp_path / "other.yaml"
    more.write_text("my_own_key: 2\n")
    other.write_text("my_own_key: 1\n")
    with pytest.raises(ValueError, match="my_own_key in"):
        command_line.parse([stage, str(more)])
    line = [stage, str(more), f"--other_stages={stage},{other}"]
    assert command_line.parse(line)[2] == {}


@pytest.mark.parametrize("text", ["word", "[1, 2]", "- a\n- b", "1", "a: b: c"])
def test_what_is_no_mapping_is_told(stage, tmp_path, text):
    from ssrl_brain.system import errors

    bad = tmp_path / "bad.yaml"
    bad.write_text(text)
    for line in ([str(bad)], [stage, str(bad)]):
        with pytest.raises(SystemExit) as stop, errors.one_line_errors([]):
            command_line.parse(line)
        assert "bad.yaml" in stop.value.code and "\n" not in stop.value.code


def test_a_file_that_is_no_stage():
    from ssrl_brain.commands import label, train, verify

    for main in (train.main, label.main, verify.main):
        with pytest.raises(ValueError, match="name the YAML of a stage first"):
            main([str(ROOT / "hparams/mini.yaml"), "--lr=1"])


def test_shipped_keys_are_those_of_stages():
    assert "num_bootstraps" in keys.shipped_keys()
    assert all(set(read_yaml(x)) <= keys.shipped_keys() for x in ENCODERS)
