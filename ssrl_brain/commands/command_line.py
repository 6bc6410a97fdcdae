"""Command lines: YAML files, what they inherit, and overrides."""

import difflib
import io
import pydoc
import re
import sys
from pathlib import Path

import speechbrain as sb
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from speechbrain.utils.run_opts import RunOptions

import ssrl_brain

# Stage YAMLs and chains travel in the package: links, copies once installed.
SHIPPED = Path(ssrl_brain.__file__).parent / "recipe"
# What makes the inputs that a stage cannot do without.
HINTS = {
    "data_folder": ", any folder of audio",
    "frames_folder": ", faces of the utterances of --data_folder: for each a "
    "folder of images, or a video",
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
    files = [find(file) for file in files]
    hparams_file, run_options, text = sb.parse_arguments([files[0], *rest])
    keys = list(read_yaml(hparams_file))
    overrides = {}
    for file in files[1:]:
        for key, value in read_yaml(file).items():
            if key in keys:
                overrides[key] = value
    given = YAML().load(text) or {}
    for key in given:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f" (did you mean --{close[0]}?)" if close else ""
            raise ValueError(f"--{key} is not a key of {hparams_file}{hint}")
    return hparams_file, run_options, {**overrides, **given}


def find(path, beside=None):
    """A YAML file as it is named: here, or among those of this package.

    Arguments
    ---------
    path : str or Path
        ``hparams/dino.yaml`` is the package's wherever there is none here.
    beside : Path, optional
        Folder of the file that names it, sought first.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError

    Example
    -------
    >>> find("hparams/mini.yaml").endswith("hparams/mini.yaml")
    True
    """
    for folder in [*([beside] if beside else []), Path(), SHIPPED]:
        if (folder / path).is_file():
            return str(folder / path)
    raise FileNotFoundError(
        f"{path} does not exist, neither here nor among the files of this "
        "package: `ssrl-brain chains` and `ssrl-brain train --help` list those"
    )


def read_yaml(path):
    r"""A YAML file with what it inherits: a tree in which tags are kept.

    ``inherit: dino.yaml`` (or a list of files, beside it or shipped) puts the
    keys of that file first; a key of its own takes the place of, or follows,
    those. HyperPyYAML's ``!include:`` cannot do this: overrides do not reach
    into it.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    CommentedMap

    Raises
    ------
    FileNotFoundError, ValueError

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "base.yaml").write_text("a: 1\nb: !ref <a>\n")
    >>> _ = (folder / "own.yaml").write_text("inherit: base.yaml\na: 2\nc: 3")
    >>> tree = read_yaml(folder / "own.yaml")
    >>> list(tree), tree["a"], tree["b"].tag.value
    (['a', 'b', 'c'], 2, '!ref')
    """
    own = YAML().load(Path(path)) or CommentedMap()
    if not isinstance(own, CommentedMap):
        raise ValueError(f"{path} must hold lines of `key: value`")
    bases = own.pop("inherit", None) or []
    tree = CommentedMap()
    for base in [bases] if isinstance(bases, str) else bases:
        tree.update(read_yaml(find(base, Path(path).parent)))
    if not tree:
        return own
    tree.update(own)
    return tree


def in_order(tree):
    """Keys behind those that they refer to, where they can be.

    HyperPyYAML follows a reference to a reference only backwards.

    Example
    -------
    >>> list(in_order(YAML().load("{a: !ref <b>/x, c: 1, b: !ref <d>, d: 2}")))
    ['d', 'b', 'a', 'c']
    """
    ordered, begun = CommentedMap(), set()

    def add(key):
        if key in tree and key not in begun:
            begun.add(key)
            for name in references(tree[key]):
                add(name)
            ordered[key] = tree[key]

    for key in tree:
        add(key)
    return ordered


def references(node):
    """Names of the keys that a YAML node refers to.

    Example
    -------
    >>> list(references(YAML().load("{a: [!ref <b>/<c>], d: !new:e.F {}}")))
    ['b', 'c']
    """
    if isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from references(child)
    elif getattr(getattr(node, "tag", None), "value", None):
        yield from re.findall(r"<(\w+)", str(node.value))


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
    stage = read_yaml(hparams_file)
    stage.update(blocks)
    stage = in_order(stage)
    text = io.StringIO()
    YAML().dump(stage, text)
    return text.getvalue(), plain


def print_help(arguments, text):
    """Prints a script's docstring and leaves, where ``--help`` is given."""
    if "--help" in arguments or "-h" in arguments:
        print(text.strip())
        sys.exit(0)
