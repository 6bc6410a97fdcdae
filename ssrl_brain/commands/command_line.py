"""Command lines: YAML files, what they inherit, and overrides."""

import contextlib
import copy
import io
import pydoc

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml, resolve_references
from hyperpyyaml.core import recursive_update
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from speechbrain.utils.run_opts import RunOptions

from ssrl_brain.commands import keys, values
from ssrl_brain.commands.yaml_files import (
    dumped,
    find,
    in_order,
    read_yaml,
    spelled_out,
    tag_of,
)
from ssrl_brain.system.devices import settle

RUN_OPTIONS = RunOptions().as_dict()
# Stages whose keys further YAMLs may hold as well: those of a chain.
OTHER_STAGES = "other_stages"


def parse(arguments, default_yaml=None, needed=()):
    """Reads a command line of YAML files, overrides and run options.

    The first YAML is the stage's; further ones are flat files of overrides,
    of which those apply whose key the stage has. ``--key=value`` wins.

    Arguments
    ---------
    arguments : list of str
        Without the program's name.
    default_yaml : str, optional
        Stage YAML where the command line names none.
    needed : iterable of str
        Keys without which the first YAML is no stage.

    Returns
    -------
    hparams_file : str
    run_options : speechbrain RunOptions
    overrides : dict

    Raises
    ------
    FileNotFoundError, ValueError
        For a missing file, a key that the stage does not have, and for one in
        a further YAML that no stage has.
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
    files = [find(file) for file in files]
    hparams_file, stage = files[0], read_yaml(files[0])
    keys.refuse_incomplete(hparams_file, needed)
    ours, theirs = split_options(rest)
    others = [x for x in ours.pop(OTHER_STAGES, "").split(",") if x]
    overrides = {}
    for file in files[1:]:
        further = read_yaml(file)
        refuse_further(file, further, stage, others)
        overrides |= {k: v for k, v in further.items() if k in stage}
    known = stage.keys() | RUN_OPTIONS.keys()
    keys.refuse_unknown(ours, known, f"is not a key of {hparams_file}", "--")
    given = {
        key: values.as_typed(key, typed, stage[key])
        for key, typed in ours.items()
    }
    return (
        hparams_file,
        run_options(hparams_file, theirs),
        {**overrides, **given},
    )


def refuse_further(file, further, stage, others):
    """Refuses a further YAML with keys that neither this nor any stage has."""
    known = {"inherit", *stage}
    for more in (keys.shipped_keys, *others):  # read only where they matter
        if further.keys() <= known:
            return
        known |= more() if callable(more) else keys.keys_of(more)
    keys.refuse_unknown(further, known, f"in {file} is not a key of any stage")


def split_options(arguments):
    """Parts options of the stage from those of the toolkit.

    The toolkit reads its own; it would cut values at every ``=``.

    Arguments
    ---------
    arguments : list of str

    Returns
    -------
    ours : dict
        What was typed, by key.
    theirs : list of str

    Example
    -------
    >>> split_options(["--a=b=c", "--device", "cpu", "--lr", "1", "--debug"])
    ({'a': 'b=c', 'lr': '1'}, ['--device', 'cpu', '--debug'])
    """
    ours, theirs, position = {}, [], 0
    while position < len(arguments):
        key, equals, value = arguments[position].partition("=")
        words = []
        position += 1
        if not key.startswith("--"):
            raise ValueError(f"write options as --key=value, not {key}")
        if not equals and RUN_OPTIONS.get(key[2:]) is not False:
            while arguments[position:] and arguments[position][:2] != "--":
                words.append(arguments[position])
                position += 1
        if key[2:] in RUN_OPTIONS:
            theirs += [key + equals + value, *words]
        elif equals or words:
            ours[key[2:]] = value if equals else " ".join(words)
        else:
            raise ValueError(f"{key} needs a value: {key}=...")
    return ours, theirs


def run_options(hparams_file, arguments):
    """The toolkit's options, as far as this machine has what they name."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            _, options, rest = sb.parse_arguments([hparams_file, *arguments])
    except SystemExit:  # after a page of usage
        raise ValueError(told.getvalue().rpartition("error: ")[2]) from None
    if rest:
        raise ValueError(f"--{rest.split(':')[0]} cannot be given")
    limits = ("max_grad_norm", "grad_accumulation_factor")
    values.check({key: options[key] for key in limits}, {})
    return settle(options)


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
    with errors_of(hparams_file):
        return load_hyperpyyaml(as_text(merged(hparams_file, overrides)))


@contextlib.contextmanager
def errors_of(hparams_file):
    """What is wrong with a HyperPyYAML file, in one line that names it."""
    try:
        yield
    except pydoc.ErrorDuringImport as error:  # an optional package
        message = " ".join(str(error.value).split())
        raise ValueError(f"{hparams_file}, overridden: {message}") from error
    except ValueError as error:
        raise ValueError(str(error.args[-1])) from error


def resolved_yaml(hparams_file, overrides):
    """Text of a HyperPyYAML file with overrides and references filled in."""
    return resolve_references(as_text(merged(hparams_file, overrides))).read()


def as_text(tree):
    """Text of a merged tree, for HyperPyYAML to read it as it is meant."""
    return dumped(spelled_out(copy.deepcopy(tree), values.is_text))


def merged(hparams_file, overrides):
    """A stage's YAML with its overrides, as a tree in which tags are kept.

    HyperPyYAML merges the arguments of a tagged override into the block that
    is there and keeps its class; a user who gives a block means to replace.

    Arguments
    ---------
    hparams_file : str
    overrides : dict

    Returns
    -------
    CommentedMap

    Raises
    ------
    ValueError
        For values that cannot be meant, and for placeholders.
    """
    stage = read_yaml(hparams_file)
    values.check(stage, overrides)
    blocks = {
        key: value
        for key, value in overrides.items()
        if isinstance(value, (CommentedMap, CommentedSeq))
        and (tag_of(value) or stage.get(key) is None)
    }
    plain = {k: v for k, v in overrides.items() if k not in blocks}
    stage.update(blocks)
    try:
        recursive_update(stage, plain, must_match=True)
    except TypeError as error:
        raise ValueError(f"{hparams_file}, overridden: {error}") from error
    keys.refuse_placeholders(stage, hparams_file)
    for key, value in stage.items():
        if values.is_text(key, value):
            stage[key] = values.expanded(key, value)
    return in_order(stage)
