"""Command lines: YAML files, overrides and errors in one line."""

import contextlib
import ctypes
import difflib
import io
import pydoc
import sys
from pathlib import Path

import speechbrain as sb
import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from speechbrain.utils.run_opts import RunOptions

from ssrl_brain.distributed import end_all_ranks

# What makes the inputs that a stage cannot do without.
HINTS = {
    "data_folder": ", any folder of audio",
    "encoder_folder": ": the export folder of a stage, made for instance by "
    "`python train.py hparams/dino.yaml --data_folder=...`",
    "label_folder": ": made by `python pseudo_label.py --data_folder=... "
    "--encoder_folder=... --label_folder=...`",
}


def parse(arguments, default_yaml=None):
    """Reads a command line of YAML files, overrides and run options.

    The first YAML is the stage's; further ones are flat files of overrides,
    of which those apply whose key the stage has. ``--key=value`` wins.

    Arguments
    ---------
    arguments : list of str
        Without the program's name.
    default_yaml : str, optional
        Stage YAML where the command line names none.

    Returns
    -------
    hparams_file : str
    run_options : speechbrain RunOptions
    overrides : dict

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file and for a key that the stage does not have.
    """
    is_yaml = [
        a.endswith((".yaml", ".yml"))
        and not a.startswith("-")
        and (position == 0 or not _takes_value(arguments[position - 1]))
        for position, a in enumerate(arguments)
    ]
    files = [a for a, yes in zip(arguments, is_yaml, strict=True) if yes]
    rest = [a for a, yes in zip(arguments, is_yaml, strict=True) if not yes]
    if not files and default_yaml:
        files = [default_yaml]
    if not files:
        raise ValueError(
            "name a YAML file, for instance hparams/dino.yaml (or --help)"
        )
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(
                f"{file} does not exist: run from recipes/VoxCeleb/ssrl or "
                "give the file's full path"
            )
    hparams_file, run_options, text = sb.parse_arguments([files[0], *rest])
    keys = list(YAML().load(Path(hparams_file)))
    overrides = {}
    for file in files[1:]:
        for key, value in (YAML().load(Path(file)) or {}).items():
            if key in keys:
                overrides[key] = value
    given = YAML().load(text) or {}
    for key in given:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f" (did you mean --{close[0]}?)" if close else ""
            raise ValueError(f"--{key} is not a key of {hparams_file}{hint}")
    return hparams_file, run_options, {**overrides, **given}


def _takes_value(argument):
    """Whether the next argument is this option's value: not after a flag."""
    is_flag = getattr(RunOptions, argument.removeprefix("--"), None) is False
    return argument.startswith("--") and "=" not in argument and not is_flag


def load(hparams_file, overrides):
    """Loads a HyperPyYAML file; its placeholders are named as options.

    Arguments
    ---------
    hparams_file : str
    overrides : dict
        Plain values, or whole tagged blocks such as another
        ``embedding_model``.

    Returns
    -------
    dict
    """
    text, overrides = with_blocks(hparams_file, overrides)
    try:
        return load_hyperpyyaml(text, overrides)
    except pydoc.ErrorDuringImport as error:  # an optional package
        message = " ".join(str(error.value).split())
        raise ValueError(f"{hparams_file}, overridden: {message}") from error
    except ValueError as error:
        message = str(error.args[-1])
        if "!PLACEHOLDER" in message:
            key = message.split("'")[1]
            message = f"{hparams_file} needs --{key}=...{HINTS.get(key, '')}"
        raise ValueError(message) from error


def resolved_yaml(hparams_file, overrides):
    """Text of a HyperPyYAML file with overrides and references filled in."""
    return resolve_references(*with_blocks(hparams_file, overrides)).read()


def with_blocks(hparams_file, overrides):
    """(text with tagged overrides in place, the other overrides)

    HyperPyYAML merges the arguments of a tagged override into the block that
    is there and keeps its class; a user who gives a block means to replace.
    """
    blocks = {
        key: value
        for key, value in overrides.items()
        if isinstance(value, (CommentedMap, CommentedSeq)) and value.tag.value
    }
    plain = {k: v for k, v in overrides.items() if k not in blocks}
    if not blocks:
        return Path(hparams_file).read_text(encoding="utf-8"), plain
    stage = YAML().load(Path(hparams_file))
    stage.update(blocks)
    text = io.StringIO()
    YAML().dump(stage, text)
    return text.getvalue(), plain


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


def print_help(arguments, text):
    """Prints a script's docstring and leaves, where ``--help`` is given."""
    if "--help" in arguments or "-h" in arguments:
        print(text.strip())
        sys.exit(0)


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
