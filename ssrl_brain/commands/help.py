"""What ``--help`` tells of a YAML: its keys, their defaults and meanings.

Both are read off the file: the meaning of a key is its comment.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

from ssrl_brain.commands.yaml_files import SHIPPED, find

KEY = re.compile(r"^([A-Za-z]\w*):[ ]*(.*?)(?:\s+#[ ]*(.*))?$")
CONTINUED = re.compile(r"^\s+#[ ]*(.*)$")
WIDTH = 26


class Key(NamedTuple):
    """A key of a YAML: name, default as it stands there, meaning."""

    name: str
    default: str
    meaning: str


def print_help(arguments, text, default_yaml=None):
    """Prints a verb's docstring and leaves, where ``--help`` is given.

    The keys of the YAML on the command line follow.

    Arguments
    ---------
    arguments : list of str
    text : str
    default_yaml : str, optional
        Where the command line names none.
    """
    if "--help" not in arguments and "-h" not in arguments:
        return
    print(text.strip())
    given = [a for a in arguments if a.endswith(".yaml") and a[0] != "-"]
    for path in given[:1] or [default_yaml]:
        if path:
            print("\n" + keys_text(find(path)))
    sys.exit(0)


def keys_of_file(path):
    """Keys of one file, without those that it inherits.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    list of Key

    Example
    -------
    >>> path = getfixture("tmp_path") / "x.yaml"
    >>> _ = path.write_text("lr: 0.1    # rate at\\n           # the start\\n")
    >>> keys_of_file(path)
    [Key(name='lr', default='0.1', meaning='rate at the start')]
    """
    found, above = [], []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        key, more = KEY.match(line), CONTINUED.match(line)
        if key:
            name, default, meaning = key.groups()
            found.append([name, default, [meaning] if meaning else above])
            above = []
        elif more and found and found[-1][2]:
            found[-1][2].append(more.group(1))
        elif line.startswith("# ") and "----" not in line:
            above = [*above, line[2:]]
        elif not line.startswith(" "):
            above = []
    return [
        Key(name, default, " ".join(words))
        for name, default, words in found
        if name != "inherit"
    ]


def described_keys(path):
    """Keys of a YAML and of what it inherits, its own first.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    dict
        Lists of Key by the name of the file they stand in.
    """
    path = Path(path)
    bases = (YAML().load(path) or {}).get("inherit") or []
    described = {path.name: keys_of_file(path)}
    for base in [bases] if isinstance(bases, str) else bases:
        described |= described_keys(find(base, path.parent))
    seen = set()
    for name, keys in described.items():
        described[name] = [key for key in keys if key.name not in seen]
        seen |= {key.name for key in keys}
    return described


def keys_text(path):
    """A page about the keys of a YAML.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    str
    """
    lines = []
    for name, keys in described_keys(path).items():
        lines += ["", f"Keys of {name}:"]
        for key in keys:
            left = f"  --{key.name}={plain(key.default)}"
            gap = " " * max(1, WIDTH + 8 - len(left))
            lines.append(f"{left}{gap}{key.meaning}".rstrip())
    return "\n".join(lines[1:])


def plain(default):
    """A default as a reader sees it: no tags of blocks.

    Example
    -------
    >>> plain("!PLACEHOLDER"), plain("!new:a.b.C"), plain("!ref <x>/y")
    ('... (needed)', 'C', '<x>/y')
    """
    if default.startswith("!PLACEHOLDER"):
        return "... (needed)"
    if default.startswith("!ref"):
        return default.removeprefix("!ref").strip()
    if default.startswith("!"):
        return default.split()[0].rsplit(".", 1)[-1]
    return default


def stages_text():
    """Names of the stage YAMLs, with the first line of each."""
    lines = ["Stages (their keys: add the YAML to --help):"]
    for path in sorted((SHIPPED / "hparams").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        if "brain_class:" in text:
            first = text.splitlines()[0].strip("# ")
            lines.append(f"  hparams/{path.name:20}{first}")
    return "\n".join(lines)
