"""Folders and files that are whole or absent."""

import multiprocessing
import os
import signal
import sys
import time

import pytest

from ssrl_brain.system.files import (
    atomic_folder,
    locked,
    read_json,
    write_json,
    write_text,
)


def make(folder, text="1"):
    with atomic_folder(folder) as temporary:
        (temporary / "a.txt").write_text(text)


def test_a_finished_folder_takes_the_place_of_the_old_one(tmp_path):
    make(tmp_path / "p")
    (tmp_path / "p" / "old.txt").touch()
    make(tmp_path / "p", "2")
    assert os.listdir(tmp_path) == ["p"]
    assert os.listdir(tmp_path / "p") == ["a.txt"]
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
    with pytest.raises(error), atomic_folder(tmp_path / "p") as temporary:
        (temporary / "a.txt").write_text("half")
        raise error
    assert os.listdir(tmp_path) == (["p"] if existing else [])
    if existing:
        assert (tmp_path / "p" / "a.txt").read_text() == "1"


def test_nothing_is_seen_before_the_end(tmp_path):
    make(tmp_path / "p")
    with atomic_folder(tmp_path / "p") as temporary:
        assert os.listdir(temporary) == []
        (temporary / "a.txt").write_text("2")
        assert (tmp_path / "p" / "a.txt").read_text() == "1"


def test_what_a_killed_run_left_is_removed(tmp_path):
    for leftover in (".p.partial", ".p.replaced"):
        (tmp_path / leftover).mkdir()
        (tmp_path / leftover / "b.txt").write_text("half")
    make(tmp_path / "p")
    assert os.listdir(tmp_path) == ["p"]
    assert os.listdir(tmp_path / "p") == ["a.txt"]


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


def test_text_replaces_a_file_and_makes_its_folder(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "eins")
    write_text(tmp_path / "a" / "b.txt", "zwei ä")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "zwei ä"
    assert os.listdir(tmp_path / "a") == ["b.txt"]


def test_a_failed_write_leaves_the_old_text(tmp_path):
    write_text(tmp_path / "b.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "b.txt", "\udcff")
    assert (tmp_path / "b.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None, True], "ä": "x"}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert read_json(tmp_path / "none.json") is None


def test_json_without_standard_meaning_is_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="x.json is not valid JSON"):
        read_json(tmp_path / "x.json")


# --------------------------------- locks ------------------------------------


def count_up(path):
    """Adds one to a file in a way that two at once would spoil."""
    with locked(path):
        number = int(path.read_text())
        time.sleep(0.002)
        path.write_text(str(number + 1))


def hold(path, held):
    with locked(path):
        held.set()
        time.sleep(60)


needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="forks")


@needs_fork
def test_a_lock_lets_one_process_in_at_a_time(tmp_path):
    path = tmp_path / "number"
    path.write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(
            target=lambda: [count_up(path) for _ in range(10)], daemon=True
        )
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert path.read_text() == "40"
    assert os.listdir(tmp_path) == ["number"]


@needs_fork
def test_a_killed_process_leaves_no_lock(tmp_path, caplog):
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "p", held))
    process.start()
    assert held.wait(60)
    assert (tmp_path / ".p.lock").exists()
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    with locked(tmp_path / "p"):
        pass
    assert os.listdir(tmp_path) == []
