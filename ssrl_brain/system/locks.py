"""Locks that die with the process that holds them, however it ends."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

IN_USE = ".ssrl_brain.lock"  # inside of a folder that a run writes to
_held = set()  # open descriptors; a process that is forked closes its copies


def _forget():
    """Reading processes outlive a killed run; its lock must not."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def _opened(path, flags):
    descriptor = os.open(path, flags, 0o666)
    _held.add(descriptor)
    try:
        yield descriptor
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


@contextlib.contextmanager
def locked(folder):
    """Waits until no other process writes a folder.

    The lock is an empty file beside it, held by the system for as long as the
    process lives: one that is killed leaves no lock behind.

    Arguments
    ---------
    folder : str or Path

    Example
    -------
    >>> with locked(Path(getfixture("tmp_path")) / "prepared"):
    ...     pass
    """
    folder = Path(os.path.realpath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f".{folder.name}.lock")
    while True:
        with _opened(lock, os.O_RDWR | os.O_CREAT) as file:
            if not _take(file, fcntl.LOCK_EX | fcntl.LOCK_NB, folder):
                logger.info(f"Waiting for another process that writes {folder}")
                _take(file, fcntl.LOCK_EX, folder)
            if not _is_same_file(file, lock):  # its last holder removed it
                continue
            try:
                yield
            finally:
                if os.fstat(file).st_size == 0:  # else it is not ours
                    lock.unlink()
            return


@contextlib.contextmanager
def sole_use(folder, key="output_folder"):
    """Refuses a folder that another living process works in.

    Arguments
    ---------
    folder : str or Path
        Exists already.
    key : str
        Name of the option that gave it.

    Raises
    ------
    ValueError
        Naming the folder and, where it is known, who uses it.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> with sole_use(folder):
    ...     with sole_use(folder):
    ...         pass
    Traceback (most recent call last):
    ...
    ValueError: ... is in use by process ... give another --output_folder
    """
    path = Path(folder) / IN_USE
    with _opened(path, os.O_RDWR | os.O_CREAT) as file:
        if not _take(file, fcntl.LOCK_EX | fcntl.LOCK_NB, folder):
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            raise ValueError(
                f"{folder} is in use by {holder or 'another process'}: wait "
                f"until it has ended, or give another --{key}"
            )
        os.ftruncate(file, 0)
        name = f"process {os.getpid()} on {socket.gethostname()}\n"
        os.pwrite(file, name.encode(), 0)
        yield


@contextlib.contextmanager
def reading(path):
    """Keeps others from replacing the folder of a file, see ``replacing``.

    Waits while it is being replaced; the caller then looks whether it still
    holds what it should.

    Arguments
    ---------
    path : str or Path
        A file of the folder.

    Raises
    ------
    FileNotFoundError
    """
    while True:
        with _opened(path, os.O_RDONLY) as file:
            _take(file, fcntl.LOCK_SH, path)
            if not _is_same_file(file, path):  # it was replaced meanwhile
                continue
            yield
            return


@contextlib.contextmanager
def replacing(path):
    """Yields whether nobody is ``reading`` it, and keeps it so.

    Arguments
    ---------
    path : str or Path
        A file of the folder; where there is none, nobody can be reading.
    """
    if not os.path.isfile(path):
        yield True
        return
    with _opened(path, os.O_RDWR) as file:
        yield _take(file, fcntl.LOCK_EX | fcntl.LOCK_NB, path)


def _is_same_file(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _take(descriptor, how, path):
    """Takes a lock; returns False where another process has it."""
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:  # some network disks have no locks
        logger.warning(
            f"{path} cannot be locked ({error.strerror}): let no other "
            "process write it meanwhile"
        )
    return True
