"""A program's outermost shell."""

import ctypes
import sys

from ssrl_brain.system.errors import one_line_errors


def run(main):
    """Calls a program's ``main`` with its arguments; errors take one line.

    Arguments
    ---------
    main : callable
        Takes the list of arguments, without the program's name.
    """
    with one_line_errors(sys.argv):
        keep_freed_memory()
        main(sys.argv[1:])


def keep_freed_memory():
    """Asks glibc to keep freed memory instead of returning it.

    Training on a CPU frees and allocates the same large tensors every step;
    getting their pages anew from the kernel takes a tenth to half of a step.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        trim_threshold, top_pad, mmap_max = -1, -2, -4
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(top_pad, 2**28)
