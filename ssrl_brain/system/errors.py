"""Errors as a user meets them: one line that names the remedy."""

import contextlib
import errno
import re
import signal
import sys
import traceback
from concurrent.futures.process import BrokenProcessPool

import torch
from ruamel.yaml.error import YAMLError

from ssrl_brain.system.distributed import end_all_ranks
from ssrl_brain.system.workers import MORE_FILES


@contextlib.contextmanager
def one_line_errors(arguments):
    """Turns errors that a user can mend into one line and exit status 1.

    ``--debug`` on the command line keeps the traceback.
    """
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        try:
            _leave(error, arguments)
        except RuntimeError as late:
            # while a dead worker is told of, PyTorch raises anew for the next
            if not is_dead_worker(late):
                raise
            _leave(late, arguments)
        raise


def _leave(error, arguments):
    """Tells all ranks; ends this process if a user can mend the error."""
    if is_dead_worker(error):
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    end_all_ranks(one_line(error))
    if isinstance(error, KeyboardInterrupt):
        print(
            "interrupted: the same command goes on from what is saved",
            file=sys.stderr,
        )
        sys.exit(130)  # as shells count a program that Ctrl-C ended
    message = mendable(error)
    if message is not None and "--debug" not in arguments:
        sys.exit(message)


def mendable(error):
    """One line about an error that a user can mend; None about others.

    Example
    -------
    >>> mendable(ValueError("a is not b"))
    'error: a is not b'
    >>> mendable(MemoryError("a")).partition(",")[0]
    'error: a: not enough memory'
    >>> mendable(TypeError("a"))
    """
    if has_too_many_files(error):
        return f"error: too many open files: {MORE_FILES}"
    if is_dead_worker(error) and not is_out_of_memory(error):
        return (
            f"error: a process that reads audio has died ({died_of(error)})"
            ": the same command goes on from what is saved; "
            "--num_workers=0 reads in this process and shows more"
        )
    if isinstance(error, (ValueError, OSError, YAMLError)):
        return f"error: {one_line(error)}{no_room(error)}"
    if isinstance(error, (MemoryError, RuntimeError)):
        if is_out_of_memory(error):
            return (
                f"error: {one_line(error)}: not enough memory, lower "
                "--batch_size, --batch_seconds or --num_workers"
            )
        if is_rank_gone(error):
            return "error: another rank is gone, its own output says why"
    return None


def no_room(error):
    """A remedy where the system does not say on which disk there is no room.

    Example
    -------
    >>> no_room(OSError(28, "No space left on device"))[:20]
    ': is /dev/shm full? '
    >>> no_room(OSError(28, "No space left on device", "a.npy"))
    ''
    """
    if getattr(error, "errno", None) != errno.ENOSPC or error.filename:
        return ""
    return (
        ": is /dev/shm full? --num_workers=0 goes without it, and Docker gives "
        "more with --shm-size=1g"
    )


def has_too_many_files(error):
    """Whether this process, or one that reads for it, may open no more files.

    Example
    -------
    >>> has_too_many_files(OSError(24, "Too many open files"))
    True
    >>> has_too_many_files(ValueError("not 24 but 23 files"))
    False
    """
    return "Too many open files" in str(error) or (
        # what is left of a file that another process has sent
        isinstance(error, RuntimeError) and "of ancillary data" in str(error)
    )


def is_dead_worker(error):
    """Whether a process that reads or prepares audio has vanished.

    Example
    -------
    >>> is_dead_worker(RuntimeError("DataLoader worker (pid 1) is killed by ."))
    True
    >>> is_dead_worker(RuntimeError("shapes differ"))
    False
    """
    if isinstance(error, (ConnectionError, EOFError)):
        places = traceback.extract_tb(error.__traceback__)
        return any("multiprocessing" in place.filename for place in places)
    return isinstance(error, BrokenProcessPool) or str(error).startswith(
        "DataLoader worker (pid"
    )


def is_rank_gone(error):
    """Whether another rank has hung up, as gloo, NCCL or the store says it.

    Which of gloo's words come is a matter of whether that rank had read all
    that was sent to it, and of who was about to write.

    Example
    -------
    >>> is_rank_gone(RuntimeError("[pair.cc] Connection closed by peer [::1]"))
    True
    >>> is_rank_gone(RuntimeError("Read error: Connection reset by peer"))
    True
    >>> is_rank_gone(RuntimeError("writev [::1]: Broken pipe"))
    True
    >>> is_rank_gone(RuntimeError("address already in use"))
    False
    """
    return isinstance(error, RuntimeError) and any(
        words in str(error)
        for words in (
            "by peer",
            "Broken pipe",
            "Connection was likely closed",
            "ncclRemoteError",
        )
    )


def died_of(error):
    """The signal that ended a reading process, as far as it is known.

    Example
    -------
    >>> died_of(
    ...     RuntimeError("DataLoader worker (pid 1) is killed by signal: X. ")
    ... )
    'X'
    """
    found = re.search(r"killed by signal: ([^.]+)\.", str(error))
    return found[1] if found else "out of memory, if nothing above says why"


def one_line(error):
    r"""Message of an error; of one in a reading process, without its traceback.

    Example
    -------
    >>> one_line(ValueError("Caught ...\nOriginal Traceback ...\nOSError: a\n"))
    'a'
    >>> one_line(ValueError("a  b\nc"))
    'a b c'
    """
    message = str(error)
    if "\nOriginal Traceback" in message:  # as the data loader puts it
        message = message.strip().rsplit("\n", 1)[-1].partition(": ")[2]
    return " ".join(message.split())


def is_out_of_memory(error):
    """Whether memory ran out: here, on the device, or in a reading process.

    Example
    -------
    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried ..."))
    True
    >>> is_out_of_memory(RuntimeError("shapes differ"))
    False
    """
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error)
        for words in (
            "out of memory",
            "can't allocate memory",
            "is killed by signal: Killed",
        )
    )
