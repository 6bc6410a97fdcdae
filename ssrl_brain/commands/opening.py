"""How every verb with a YAML begins: help, command line, ranks, folders."""

import contextlib
from functools import partial
from typing import NamedTuple

from speechbrain.utils.run_opts import RunOptions

from ssrl_brain.commands import claims, command_line
from ssrl_brain.commands.help import print_help
from ssrl_brain.system.distributed import join_group, on_first_rank


class Command(NamedTuple):
    """A command line that was read, and what its YAML has become.

    ``held`` holds locks until the command has ended.
    """

    hparams_file: str
    overrides: dict
    run_options: RunOptions
    hparams: dict
    held: contextlib.ExitStack

    def prepare(self):
        """Prepares the data, which no other process replaces meanwhile."""
        on_first_rank(partial(self.hparams["prepare"], hold=self.held))


@contextlib.contextmanager
def opened(arguments, text, needed, written, default_yaml=None):
    """Reads a command line and makes the folders of the command its own.

    Arguments
    ---------
    arguments : list of str
        Without the program's name; ``--help`` prints and leaves.
    text : str
        What ``--help`` prints, before the keys of the YAML.
    needed : iterable of str
        Keys without which the YAML is none of this verb.
    written : dict
        Kinds of the folders that are written, see ``claims.checked``.
    default_yaml : str, optional
        Where the command line names none.

    Yields
    ------
    Command

    Raises
    ------
    FileNotFoundError, ValueError
        Before anything is written.
    """
    print_help(arguments, text, default_yaml)
    hparams_file, run_options, overrides = command_line.parse(
        arguments, default_yaml, needed
    )
    join_group(run_options)
    with claims.claimed(hparams_file, overrides, written) as held:
        hparams = command_line.load(hparams_file, overrides)
        yield Command(hparams_file, overrides, run_options, hparams, held)
