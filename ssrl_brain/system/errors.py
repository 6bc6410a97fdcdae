"""Errors as a user meets them: one line that names the remedy."""

import contextlib
import sys

import torch
from ruamel.yaml.error import YAMLError

from ssrl_brain.system.distributed import end_all_ranks


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
        end_all_ranks(one_line(error))
        if isinstance(error, KeyboardInterrupt):
            print(
                "interrupted: the same command goes on from what is saved",
                file=sys.stderr,
            )
            sys.exit(130)  # as shells count a program that Ctrl-C ended
        message = mendable(error)
        if message is None or "--debug" in arguments:
            raise
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
    if isinstance(error, (ValueError, OSError, YAMLError)):
        return f"error: {one_line(error)}"
    if isinstance(error, (MemoryError, RuntimeError)):
        if is_out_of_memory(error):
            return (
                f"error: {one_line(error)}: not enough memory, lower "
                "--batch_size, --batch_seconds or --num_workers"
            )
        if str(error).endswith("by peer"):  # as gloo says that it hung up
            return "error: another rank is gone, its own output says why"
    return None


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
