"""YAML files: where they are, what they inherit, what refers to what."""

import io
import re
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

import ssrl_brain

# Stage YAMLs and chains travel in the package: links, copies once installed.
SHIPPED = Path(ssrl_brain.__file__).parent / "recipe"


def tag_of(node):
    """Tag of a YAML node, such as ``!ref``; None of a plain value.

    Example
    -------
    >>> tag_of(YAML().load("!new:a.B {c: 1}")), tag_of(YAML().load("[1]"))
    ('!new:a.B', None)
    """
    return getattr(getattr(node, "tag", None), "value", None)


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
    path = Path(path).expanduser()
    for folder in [*([beside] if beside else []), Path(), SHIPPED]:
        if (folder / path).is_file():
            return str(folder / path)
    raise FileNotFoundError(
        f"{path} does not exist, neither here nor among the files of this "
        "package: `ssrl-brain chains` and `ssrl-brain train --help` list those"
    )


def read_yaml(path, heirs=()):
    r"""A YAML file with what it inherits: a tree in which tags are kept.

    ``inherit: dino.yaml`` (or a list of files, beside it or shipped) puts the
    keys of that file first; a key of its own takes the place of, or follows,
    those. HyperPyYAML's ``!include:`` cannot do this: overrides do not reach
    into it.

    Arguments
    ---------
    path : str or Path
    heirs : tuple of Path
        Files that inherit this one.

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
    try:
        own = YAML().load(Path(path)) or CommentedMap()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from None
    if not isinstance(own, CommentedMap):
        raise ValueError(f"{path} must hold lines of `key: value`")
    bases, own_file = own.pop("inherit", None) or [], Path(path).resolve()
    tree = CommentedMap()
    for base in [bases] if isinstance(bases, str) else bases:
        file = Path(find(base, Path(path).parent)).resolve()
        if file in (own_file, *heirs):
            raise ValueError(f"{file} inherits itself")
        tree.update(read_yaml(file, (own_file, *heirs)))
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
    elif tag_of(node):
        yield from re.findall(r"<(\w+)", str(node.value))


def must_be_in_lines(node):
    """Whether a child keeps what holds it from being written in brackets.

    Example
    -------
    >>> children = YAML().load("[a, 1, [2], !ref <a>, {b: 1}]")
    >>> list(map(must_be_in_lines, children))
    [True, False, False, False, False]
    """
    if hasattr(node, "fa"):
        return node.fa.flow_style() is False
    return isinstance(node, (str, list, dict))  # plain lists are never inline


def spelled_out(tree, is_text):
    """A tree with text quoted, and put in the place of references to it.

    HyperPyYAML would take a folder ``1/2`` for a sum, ``(a)`` for a tuple and
    ``<a>`` for a reference.

    Arguments
    ---------
    tree : CommentedMap
        In order, see ``in_order``.
    is_text : callable
        (key, value) -> whether the value is text, not YAML.

    Returns
    -------
    CommentedMap

    Example
    -------
    >>> tree = YAML().load("{a: 1/2, b: !ref <a>/c, d: [!ref <b>], e: 3}")
    >>> dict(spelled_out(tree, lambda key, value: isinstance(value, str)))
    {'a': '1/2', 'b': '1/2/c', 'd': ['1/2/c'], 'e': 3}
    """
    texts, known = set(), {}  # keys of text; plain values by key

    def spell(node):
        if isinstance(node, (dict, list)):
            keys = node if isinstance(node, dict) else range(len(node))
            for key in keys:
                node[key] = spell(node[key])
            # ruamel writes [?/a] unquoted, and PyYAML takes that for {/a: null}
            children = [node[key] for key in keys]
            if hasattr(node, "fa") and any(map(must_be_in_lines, children)):
                node.fa.set_block_style()
        elif tag_of(node) == "!ref":
            names = set(re.findall(r"<([^<>]*)>", str(node.value)))
            if names & texts and names <= known.keys():
                return DoubleQuotedScalarString(
                    re.sub(r"<([^<>]*)>", lambda m: known[m[1]], node.value)
                )
        return node

    for key, value in tree.items():
        tree[key] = value = spell(value)
        if isinstance(value, (str, int, float)):
            known[key] = str(value)
        if isinstance(value, str) and is_text(key, value):
            tree[key] = DoubleQuotedScalarString(value)
            texts.add(key)
    return tree


def dumped(tree):
    """Text of a YAML tree, without folded lines."""
    yaml, text = YAML(), io.StringIO()
    yaml.width = 1 << 16
    yaml.dump(tree, text)
    return text.getvalue()
