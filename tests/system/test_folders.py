"""Folders that are whole or absent, and never somebody else's."""

import os
import pathlib

import pytest
from conftest import state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.system.folders import (
    Output,
    atomic_folder,
    check,
    relation,
    remove,
)
from ssrl_brain.system.ours import MARKER, mark


def make(folder, text="1", name="a.txt", kind="labels"):
    with atomic_folder(folder, kind) as temporary:
        (temporary / name).write_text(text)


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path):
    make(tmp_path / "p", name="old.txt")
    make(tmp_path / "p", "2")
    assert os.listdir(tmp_path) == ["p"]
    assert sorted(os.listdir(tmp_path / "p")) == [MARKER, "a.txt"]
    assert (tmp_path / "p" / "a.txt").read_text() == "2"


def test_others_can_read_the_folder(tmp_path):
    umask = os.umask(0o022)
    try:
        make(tmp_path / "p")
    finally:
        os.umask(umask)
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("existing", [False, True])
def test_an_error_leaves_everything_as_it_was(tmp_path, error, existing):
    if existing:
        make(tmp_path / "p")
    with (
        pytest.raises(error),
        atomic_folder(tmp_path / "p", "labels") as temporary,
    ):
        (temporary / "a.txt").write_text("half")
        raise error
    assert os.listdir(tmp_path) == (["p"] if existing else [])
    if existing:
        assert (tmp_path / "p" / "a.txt").read_text() == "1"


def test_nothing_is_seen_before_the_end(tmp_path):
    make(tmp_path / "p")
    with atomic_folder(tmp_path / "p", "labels") as temporary:
        assert os.listdir(temporary) == [MARKER]
        (temporary / "a.txt").write_text("2")
        assert (tmp_path / "p" / "a.txt").read_text() == "1"


def test_a_linked_folder_is_replaced_where_it_lies(tmp_path):
    make(tmp_path / "disk" / "p")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "p")
    make(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "p" / "a.txt").read_text() == "2"


def test_a_file_is_never_replaced_by_a_folder(tmp_path):
    (tmp_path / "p").write_text("mine")
    with pytest.raises(ValueError, match="p is a file, not a folder"):
        make(tmp_path / "p")
    assert (tmp_path / "p").read_text() == "mine"


# ------------------------------ what is not ours -----------------------------


@pytest.mark.parametrize("name", ["song.wav", ".git/config", ".DS_Store", "a/"])
def test_a_folder_of_somebody_else_is_never_replaced(tmp_path, name):
    path = tmp_path / "p" / name
    path.parent.mkdir(parents=True)
    path.mkdir() if name.endswith("/") else path.write_text("mine")
    before = state_of(tmp_path)
    first = name.split("/")[0]
    for folder in (tmp_path / "p", tmp_path):
        with pytest.raises(ValueError, match="which ssrl_brain did not write"):
            make(folder)
    with pytest.raises(ValueError, match=f"holds {first}, which"):
        remove(tmp_path / "p", "labels")
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("name", ["notes.txt", "deep/notes.txt", "link", "d/"])
def test_what_was_put_into_a_folder_of_ours_survives(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.wav").write_text("mine")
    make(tmp_path / "p")
    path = tmp_path / "p" / name
    path.parent.mkdir(exist_ok=True)
    if name == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif name.endswith("/"):
        path.mkdir()
    else:
        path.write_text("mine")
    before = state_of(tmp_path)
    with pytest.raises(ValueError, match=f"holds {name.strip('/')}, which"):
        make(tmp_path / "p", "2")
    assert state_of(tmp_path) == before


def test_what_a_file_manager_leaves_is_nobodys(tmp_path):
    make(tmp_path / "p")
    (tmp_path / "p" / ".DS_Store").touch()
    make(tmp_path / "p", "2")
    assert (tmp_path / "p" / "a.txt").read_text() == "2"


def test_another_kind_of_folder_is_not_replaced(tmp_path):
    make(tmp_path / "p", kind="encoder")
    with pytest.raises(ValueError, match="of an encoder, not of pseudo labels"):
        make(tmp_path / "p")
    assert (tmp_path / "p" / "a.txt").read_text() == "1"


def test_what_is_put_there_meanwhile_is_kept(tmp_path, caplog):
    make(tmp_path / "p")
    with atomic_folder(tmp_path / "p", "labels") as temporary:
        (temporary / "a.txt").write_text("2")
        (tmp_path / "p" / "notes.txt").write_text("mine")
    assert (tmp_path / "p" / "a.txt").read_text() == "2"
    assert (tmp_path / "p.old-1" / "notes.txt").read_text() == "mine"
    assert "p.old-1" in caplog.text


# --------------------------------- leftovers ---------------------------------


class Killed(BaseException):
    """A process that is gone cleans nothing up."""


def kill_at_rename(monkeypatch, number):
    """Stands for a kill before the so-manieth rename."""
    rename, seen = pathlib.Path.rename, []

    def counted(path, target):
        seen.append(path)
        if len(seen) == number:
            raise Killed
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", counted)


@pytest.mark.parametrize("number, text", [(1, "1"), (2, "1")])
def test_a_kill_between_two_renames_loses_nothing(
    tmp_path, monkeypatch, number, text
):
    make(tmp_path / "p")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_rename(patch, number)
        make(tmp_path / "p", "2")
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "p", "labels"):
        assert (tmp_path / "p" / "a.txt").read_text() == text
        raise RuntimeError  # what was there before is there again
    assert os.listdir(tmp_path) == ["p"]
    assert (tmp_path / "p" / "a.txt").read_text() == text


def test_what_a_killed_run_left_is_removed(tmp_path):
    make(tmp_path / "p")
    for leftover in (".p.partial", ".p.replaced"):
        (tmp_path / leftover).mkdir()
        mark(tmp_path / leftover, "labels", None)
        (tmp_path / leftover / "b.txt").write_text("half")
    make(tmp_path / "p", "2")
    assert os.listdir(tmp_path) == ["p"]
    assert (tmp_path / "p" / "a.txt").read_text() == "2"


@pytest.mark.parametrize("name", [".p.partial", ".p.replaced"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_sibling_of_that_name_that_is_not_ours_survives(tmp_path, name, kind):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.wav").write_text("mine")
    if kind == "file":
        (tmp_path / name).write_text("mine")
    elif kind == "link":
        (tmp_path / name).symlink_to(tmp_path / "mine")
    else:
        (tmp_path / "mine").rename(tmp_path / name)
    before = state_of(tmp_path)
    with pytest.raises(ValueError, match="move it out of the way"):
        make(tmp_path / "p")
    assert state_of(tmp_path) == before


# ------------------------------- what is read --------------------------------


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("ab"), max_size=4),
    st.lists(st.sampled_from("ab"), max_size=4),
)
def test_relation_is_that_of_the_parts_of_a_path(one, other):
    path, place = ("/" + "/".join(["no such", *x]) for x in (one, other))
    expected = None
    if one == other:
        expected = "is"
    elif one[: len(other)] == other:
        expected = "lies in"
    elif other[: len(one)] == one:
        expected = "holds"
    assert relation(path, place) == expected


def test_relation_looks_through_links(tmp_path, monkeypatch):
    (tmp_path / "data" / "wav").mkdir(parents=True)
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "inner").symlink_to("link/wav")
    assert relation(tmp_path / "link", tmp_path / "data") == "is"
    assert relation(tmp_path / "link" / "new", tmp_path / "data") == "lies in"
    assert relation(tmp_path / "inner", tmp_path / "data") == "lies in"
    assert relation(tmp_path / "link", tmp_path / "inner") == "holds"
    monkeypatch.chdir(tmp_path / "data")
    assert relation(".", tmp_path / "link") == "is"
    assert relation("results/x", tmp_path / "link") == "lies in"
    assert relation("..", tmp_path / "link") == "holds"
    assert relation("../data2", tmp_path / "link") is None


def test_one_output_may_not_lie_in_another_that_is_replaced(tmp_path):
    run = Output("output_folder", tmp_path / "run", "run")
    inside = Output("export_folder", tmp_path / "run/export", "encoder")
    check({}, [run, inside])
    around = Output("export_folder", tmp_path, "encoder")
    same = Output("export_folder", tmp_path / "run", "encoder")
    for output in (around, same):
        with pytest.raises(ValueError, match="which is replaced as a whole"):
            check({}, [run, output])
