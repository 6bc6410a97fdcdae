"""No script writes to, or deletes, what is not its own.

Every script with every folder option, pointed at folders of a user, at their
parents, children and links: refused in one line, every byte still there.
"""

import itertools
import pathlib

import pytest
from conftest import RECIPE, ROOT, arguments, state_of

from ssrl_brain.chains import pipeline
from ssrl_brain.commands import claims, label, publish, report, train, verify
from ssrl_brain.data.prepare import auto, synthvox
from ssrl_brain.system import errors
from ssrl_brain.system.ours import MARKER, claim, mark

AUDIO = ("data_folder", "noise_folder", "rir_folder")
# script: (main, first arguments, what it reads, what it writes)
SCRIPTS = {
    "train": (
        train.main,
        [str(ROOT / "hparams/ssrl.yaml"), "--device=cpu"],
        (*AUDIO, "encoder_folder", "label_folder"),
        (
            "output_folder",
            "export_folder",
            "exported_label_folder",
            "prepared_folder",
        ),
    ),
    "train, labels of the head": (
        train.main,
        [str(ROOT / "hparams/iterative.yaml"), "--device=cpu"],
        (*AUDIO, "label_folder", "head_label_folder"),
        ("output_folder", "export_folder"),
    ),
    "pseudo_label": (
        label.main,
        ["--device=cpu"],
        (*AUDIO, "encoder_folder", "given_label_folder"),
        ("label_folder", "prepared_folder"),
    ),
    "verify": (
        verify.main,
        ["--device=cpu"],
        (*AUDIO, "encoder_folder", "cohort_folder"),
        ("output_folder", "cache_folder", "prepared_folder"),
    ),
    "pipeline": (
        pipeline.main,
        [str(RECIPE / "chains/ssrl.yaml"), "--device=cpu"],
        (*AUDIO, "encoder_folder"),
        ("output_folder", "prepared_folder"),
    ),
    "pipeline --plan": (
        pipeline.main,
        [str(RECIPE / "chains/ssrl.yaml"), "--device=cpu", "--plan"],
        AUDIO,
        ("output_folder", "prepared_folder"),
    ),
    "prepare": (auto.main, [], AUDIO, ("prepared_folder",)),
}
WRITTEN = [(name, key) for name, x in SCRIPTS.items() for key in x[3]]


@pytest.fixture
def user(tmp_path, monkeypatch):
    """Folders of a user, each alone in a folder; an empty one to work in."""
    root = tmp_path / "user"
    for key in ("mine", *claims.INPUTS):
        for name in ("song.wav", "sub/deep/song.wav", ".git/config"):
            path = root / f"of {key}" / key / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{key} {name}")
        (root / f"link to {key}").symlink_to(f"of {key}/{key}")
    (root / "hidden" / ".git").mkdir(parents=True)
    (root / "hidden" / ".git" / "config").write_text("mine")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return root


def refusal(main, arguments):
    """The one line with which a command ends; exit status 1."""
    with (
        pytest.raises(SystemExit) as caught,
        errors.one_line_errors(["script"]),
    ):
        main(list(arguments))
    message = caught.value.code  # a text, which Python prints, and exits with 1
    assert isinstance(message, str) and message.startswith("error: ")
    assert "\n" not in message
    return message


def line(name, user, **options):
    """A command that would be right, but for the options."""
    _, first, read, written = SCRIPTS[name]
    given = {key: user / f"of {key}" / key for key in read}
    given |= {key: pathlib.Path("new") / key for key in written}
    given |= options
    return [*first, *(f"--{key}={value}" for key, value in given.items())]


@pytest.mark.parametrize("name, key", WRITTEN)
def test_a_folder_of_a_user_is_not_written(name, key, user):
    mine = user / "of mine" / "mine"
    before = state_of(user.parent)
    for place in (
        mine,
        mine / "sub",  # a child
        mine.parent,
        user.parent,  # that of everything
        user / "link to mine",
        user / "link to mine" / "sub",
        user / "hidden",  # holds hidden files alone
        mine / "song.wav",
    ):
        message = refusal(SCRIPTS[name][0], line(name, user, **{key: place}))
        assert f"{key} {place}" in message, message
        assert state_of(user.parent) == before, place


@pytest.mark.parametrize("name, key", WRITTEN)
def test_nothing_is_written_at_in_or_above_what_is_read(name, key, user):
    before = state_of(user.parent)
    main, _, read, _ = SCRIPTS[name]
    for number, source in enumerate(read):
        place = user / f"of {source}" / source
        relations = (
            (place, "is"),
            (place / "new", "lies in"),
            (place / "sub" / "deep", "lies in"),
            (place.parent, "holds"),
            (user / f"link to {source}", "is"),
            (user / f"link to {source}" / "new" / "folder", "lies in"),
            (place / "sub" / ".." / "new", "lies in"),
        )
        # all for one of the sources, which takes its turn; some for the others
        turn = (number + WRITTEN.index((name, key))) % len(read)
        for target, how in relations if turn == 0 else relations[turn::4]:
            message = refusal(main, line(name, user, **{key: target}))
            assert f"{key} {target} {how} {source} {place}, " in message
            assert state_of(user.parent) == before, target


@pytest.mark.parametrize("name", SCRIPTS)
def test_nothing_is_written_where_one_stands_among_the_data(
    name, user, monkeypatch
):
    monkeypatch.chdir(user / "of data_folder" / "data_folder")
    before = state_of(user.parent)
    for key in SCRIPTS[name][3]:
        for place in (".", "results", "..", "sub/../results"):
            message = refusal(
                SCRIPTS[name][0], line(name, user, **{key: place})
            )
            assert "give a" in message
            assert state_of(user.parent) == before


@pytest.mark.parametrize(
    "name, key, part",
    [
        ("train", "output_folder", "export"),
        ("train", "output_folder", "labels"),
        ("verify", "output_folder", "scores"),
        ("verify", "output_folder", "scores_as_norm"),
        ("verify", "output_folder", "prepared"),
        ("verify", "output_folder", "embeddings"),
        ("verify", "output_folder", "embeddings/test"),
        ("verify", "cache_folder", "cohort"),
        ("pipeline", "output_folder", "dino"),
        ("pipeline", "output_folder", "dino/export"),
        ("pipeline", "output_folder", "ssrl/verify"),
        ("pipeline", "output_folder", "ssrl/verify/scores"),
        ("pipeline", "output_folder", "dino/clusters"),
    ],
)
def test_a_part_of_an_output_folder_may_be_somebody_elses(
    name, key, part, user
):
    kinds = {"train": "run", "verify": "verification", "pipeline": "chain"}
    output = user / "out"
    kind = kinds[name] if key == "output_folder" else "cache"
    claim(output, kind)  # ours, and a user puts something into it
    (output / part).mkdir(parents=True)
    (output / part / "song.wav").write_text("mine")
    before = state_of(user.parent)
    _, first, read, written = SCRIPTS[name]
    given = {k: user / f"of {k}" / k for k in read} | {key: output}
    command = [*first, *(f"--{k}={v}" for k, v in given.items())]
    if name == "pipeline":
        command.append("--trial_lists=x.txt")
    if name == "verify" and key != "output_folder":
        command.append("--output_folder=new")
    message = refusal(SCRIPTS[name][0], command)
    assert "which ssrl_brain did not write" in message
    assert state_of(user.parent) == before


@pytest.mark.parametrize(
    "kind, key, name",
    [
        ("run", "label_folder", "pseudo_label"),
        ("encoder", "label_folder", "pseudo_label"),
        ("run", "export_folder", "train"),
        ("labels", "export_folder", "train"),
        ("prepared", "output_folder", "train"),
        ("chain", "output_folder", "verify"),
        ("run", "output_folder", "pipeline"),
        ("labels", "prepared_folder", "prepare"),
    ],
)
def test_a_folder_of_ours_of_another_kind_is_not_written(kind, key, name, user):
    mark(user / "ours", kind, ["a.txt"])
    (user / "ours" / "a.txt").write_text("weeks of work")
    before = state_of(user.parent)
    place = user / "ours"
    message = refusal(SCRIPTS[name][0], line(name, user, **{key: place}))
    assert f"{key} {place} is the folder of " in message
    assert state_of(user.parent) == before


# What is legal, and why.
@pytest.mark.parametrize(
    "output, why",
    [
        ("../user/of mine/mine/new", "new, and nothing is read there"),
        ("../user/of mine/new/new", "new, beside what is read at most"),
        ("empty", "there is nothing to lose"),
        ("printed", "`> printed/run.log` makes it; we write no such file"),
        ("ours", "we made it; other files in it stay as they are"),
        ("../user/of data_folder/data_folder2", "its name alone is like one"),
        ("link to nothing", "made where the link leads"),
    ],
)
def test_what_may_be_written(output, why, user):
    pathlib.Path("empty").mkdir()
    pathlib.Path("printed").mkdir()
    pathlib.Path("printed/run.log").write_text("so far")
    claim("ours", "run")
    pathlib.Path("ours/notes.txt").write_text("mine")
    pathlib.Path("link to nothing").symlink_to("nothing")
    before = state_of(user.parent)
    overrides = {
        "data_folder": str(user / "of data_folder/data_folder"),
        "noise_folder": str(user / "of data_folder/data_folder/sub"),  # read
        "output_folder": output,
    }
    file = str(ROOT / "hparams/dino.yaml")
    found = claims.checked(file, overrides, train.WRITTEN)
    assert [x.key for x in found] == [
        "output_folder",
        "export_folder",
        "prepared_folder",
    ]
    assert state_of(user.parent) == before


def test_a_command_that_fails_leaves_no_folder_behind(user):
    file = str(ROOT / "hparams/dino.yaml")
    overrides = {"output_folder": "x", "prepared_folder": "y"}
    overrides["data_folder"] = str(user)
    with (
        pytest.raises(KeyError),
        claims.claimed(file, overrides, train.WRITTEN),
    ):
        assert (pathlib.Path("x") / MARKER).is_file()
        with pytest.raises(ValueError, match="x is in use by process"):
            with claims.claimed(file, overrides, train.WRITTEN):
                pass
        raise KeyError
    assert list(pathlib.Path().iterdir()) == []


def test_checkpoints_elsewhere_are_looked_at_too(user):
    block = (
        "!new:ssrl_brain.training.checkpoints.Checkpointer "
        f"{{checkpoints_dir: {user / 'of mine/mine'}, recoverables: {{}}}}"
    )
    before = state_of(user.parent)
    options = {"checkpointer": block}
    message = refusal(train.main, line("train", user, **options))
    assert "holds .git, which" in message
    assert state_of(user.parent) == before


# ------------------- what is read may be anybody's folder --------------------

READ = [
    (name, key)
    for name, key in itertools.chain(
        ((name, key) for name in ("train", "prepare") for key in AUDIO),
        (("train", "encoder_folder"), ("train", "label_folder")),
        (("pseudo_label", "data_folder"), ("pseudo_label", "encoder_folder")),
        (("verify", "data_folder"), ("verify", "encoder_folder")),
        [("verify", "cohort_folder")],
    )
]


@pytest.mark.parametrize("name, key", READ)
def test_nothing_happens_to_a_folder_that_is_read(
    name, key, user, start, tmp_path
):
    mine = user / "of mine" / "mine"
    before = state_of(user)
    options = {**start, key: mine}
    options["prepared_folder"] = tmp_path / "work/prepared"
    yaml = {"train": "ssrl.yaml", "verify": "verify.yaml"}
    if name == "pseudo_label":
        options["label_folder"] = tmp_path / "work/labels"
    if name == "prepare":
        keys = (*AUDIO, "trial_lists", "prepared_folder")
        command = [f"--{k}={options[k]}" for k in keys]
        command.append("--min_seconds=0.3")
    else:
        command = arguments(
            yaml.get(name, "pseudo_label.yaml"),
            **options,
            output_folder=tmp_path / "work/out",
        )
    refusal(SCRIPTS[name][0], command)
    assert state_of(user) == before


@pytest.mark.parametrize(
    "key", ["encoder_folder", "run_folder", "prepared_folder", "verify_folder"]
)
def test_publishing_changes_nothing(key, user, start):
    before = state_of(user.parent)
    given = {
        "encoder_folder": start["encoder_folder"],
        key: user / "of mine/mine",
        "repo_id": "me/mine",
        "license": "mit",
    }
    command = [f"--{k}={v}" for k, v in given.items()]
    refusal(publish.main, [*command, "--dry_run"])
    assert state_of(user.parent) == before


# ----------------------------------- report ----------------------------------


def test_a_report_never_takes_the_place_of_another_file(user, start):
    run = start["encoder_folder"].parent
    mine = user / "of mine" / "mine"
    (user / "link.html").symlink_to(mine / "song.wav")
    before = state_of(user.parent)
    for output in (mine / "song.wav", mine, user / "link.html"):
        message = refusal(report.main, [str(run), f"--output={output}"])
        assert "is there and is no report" in message
        assert state_of(user.parent) == before
    data = pathlib.Path(start["data_folder"])
    before = state_of(data)
    message = refusal(report.main, [str(run), f"--output={data / 'r.html'}"])
    assert "which is only read" in message
    assert state_of(data) == before
    assert "is no output folder" in refusal(report.main, [str(mine)])
    # legal: a new file anywhere else, for that is where one asks for it, and
    # a report over a report
    for _ in range(2):
        report.main([str(run), f"--output={mine / 'new.html'}"])


def test_reports_of_earlier_versions_are_replaced(user, start):
    run = start["encoder_folder"].parent
    path = report.main([str(run), f"--output={user / 'r.html'}"])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(x for x in lines if "generator" not in x))
    assert "generator" not in path.read_text()[:500]
    report.main([str(run), f"--output={path}"])
    assert "generator" in path.read_text()[:500]


def test_a_synthetic_corpus_takes_no_ones_place(user):
    before = state_of(user.parent)
    with pytest.raises(FileExistsError, match="was not made with these"):
        synthvox.make_corpus(user / "of mine/mine")
    assert state_of(user.parent) == before


@pytest.mark.parametrize(
    "typed", ["1/0", "9**9", "(a, b)", "a<b>c", "<lr>", "?", "null", "- a"]
)
def test_folders_are_those_that_were_typed(typed):
    overrides = {"output_folder": typed, "data_folder": typed}
    file = claims.command_line.find("hparams/dino.yaml")
    found = claims.folders_of(file, overrides)
    assert found["data_folder"] == typed
    assert found["export_folder"] == f"{typed}/export"
