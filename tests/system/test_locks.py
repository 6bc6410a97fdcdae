"""Locks: one at a time, and none that outlives its process."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time

import pytest

from ssrl_brain.system.locks import locked, reading, replacing, sole_use


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


def test_a_file_with_the_name_of_a_lock_survives(tmp_path):
    (tmp_path / ".p.lock").write_text("mine")
    with locked(tmp_path / "p"):
        pass
    assert (tmp_path / ".p.lock").read_text() == "mine"


# ------------------------------ a folder in use ------------------------------


def use(folder, told, child=False):
    """Uses a folder until it is killed; so does a process that it forks."""
    with sole_use(folder):
        if child and os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        told.set()
        time.sleep(60)


@contextlib.contextmanager
def another(*args, function=use):
    """Another process that holds a lock; killed at the end."""
    context = multiprocessing.get_context("fork")
    told = context.Event()
    process = context.Process(target=function, args=(args[0], told, *args[1:]))
    process.start()
    try:
        assert told.wait(60)
        yield process
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)


@needs_fork
@pytest.mark.parametrize("child", [False, True])
def test_a_folder_in_use_is_refused_until_its_user_is_dead(tmp_path, child):
    with another(tmp_path, child) as process:
        words = f"is in use by process {process.pid} on .* another --x"
        with pytest.raises(ValueError, match=words), sole_use(tmp_path, "x"):
            pass
    with sole_use(tmp_path):  # at once, though a child of it still lives
        pass


def read(folder, told):
    with reading(folder / "marker"):
        told.set()
        time.sleep(60)


@needs_fork
def test_nothing_is_replaced_that_is_being_read(tmp_path):
    with replacing(tmp_path / "marker") as free:
        assert free  # there is nothing yet
    (tmp_path / "marker").touch()
    with another(tmp_path, function=read):
        with replacing(tmp_path / "marker") as free:
            assert not free
        with reading(tmp_path / "marker"):  # any number may read
            pass
    with replacing(tmp_path / "marker") as free:
        assert free


def test_a_reader_waits_and_then_reads_what_is_new(tmp_path):
    (tmp_path / "marker").write_text("old")
    context = multiprocessing.get_context("fork")
    seen = context.Queue()

    def see():
        with reading(tmp_path / "marker"):
            seen.put((tmp_path / "marker").read_text())

    process = context.Process(target=see)
    with replacing(tmp_path / "marker"):
        process.start()
        time.sleep(0.2)
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").replace(tmp_path / "marker")
    assert seen.get(timeout=60) == "new"
    process.join(60)
