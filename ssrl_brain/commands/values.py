"""Which values a key may have: told in one line, before any work.

The type is that of the default; ``ranges`` says which numbers make sense.
"""

import os
import re

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ssrl_brain.commands.ranges import RANGES
from ssrl_brain.commands.yaml_files import tag_of

TEXT = ("_folder", "_csv", "_list", "_lists")  # how keys of text end
TAG = re.compile(r"!(ref|copy)\b|!(new|name|apply|applyref|include|module):")
OBJECT = ("!new:", "!name:", "!apply:", "!applyref:")


def is_text(key, default):
    """Whether values of a key are text, whatever they look like.

    Example
    -------
    >>> (
    ...     is_text("data_folder", None),
    ...     is_text("layout", "auto"),
    ...     is_text("lr", 1),
    ... )
    (True, True, False)
    """
    if isinstance(default, list) and not tag_of(default):
        return key.endswith("_lists")  # of files, separated by commas or not
    if isinstance(default, (bool, int, float)):
        return False
    return key.endswith(TEXT) or isinstance(default, str)


def as_typed(key, typed, default):
    """Value of an option of the command line.

    Text is what was typed, of which nothing is None; all else, and whatever
    begins with a tag, is YAML.

    Arguments
    ---------
    key, typed : str
    default
        Value of the key in the stage's YAML.

    Raises
    ------
    ValueError

    Example
    -------
    >>> as_typed("output_folder", "out #1: 1e3", None)
    'out #1: 1e3'
    >>> as_typed("lr", "1e-3", 0.1), as_typed("snr", "[0, 9]", [5, 20])
    (0.001, [0, 9])
    """
    if is_text(key, default) and not TAG.match(typed):
        return typed or None
    try:
        tree = YAML().load(f"{key}: {typed}")
    except YAMLError:
        tree = {}
    if list(tree) != [key]:
        raise ValueError(f"--{key}={typed} is not YAML: put it into quotes")
    return tree[key]


def expanded(key, value):
    """Text with ``~`` replaced by the user's folder, also within a list.

    Example
    -------
    >>> getfixture("monkeypatch").setenv("HOME", "/me")
    >>> expanded("data_folder", "~/a,~"), expanded("trial_lists", "~/a,~/b")
    ('/me/a,~', '/me/a,/me/b')
    """
    if isinstance(value, list):
        return [expanded(key, item) for item in value]
    if not isinstance(value, str):
        return value
    if key.endswith("_lists") and "~" in value:
        parts = (os.path.expanduser(x.strip()) for x in value.split(","))
        return ",".join(parts)
    return os.path.expanduser(value)


def check(stage, overrides):
    """Refuses values that cannot be meant, all of them at once.

    Arguments
    ---------
    stage : dict
        Tree of a stage's YAML, see ``read_yaml``.
    overrides : dict

    Raises
    ------
    ValueError
        Naming each key, its value, and what it must be.

    Example
    -------
    >>> check({"lr": 0.1, "snr": [0, 1]}, {"lr": 0, "snr": [5, 1]})
    Traceback (most recent call last):
    ...
    ValueError: lr=0 must be a number, above 0; snr=[5, 1] must be [low, high], two numbers
    """
    told = [
        f"{key}={value} must be {words}"
        for key, value in {**stage, **overrides}.items()
        if (words := must_be(key, value, stage.get(key)))
    ]
    if told:
        raise ValueError("; ".join(told))


def must_be(key, value, default):
    """What a value must be and is not, in words; None if all is well.

    Example
    -------
    >>> must_be("spread_crops", 3, True), must_be("own_key", 3, 0.5)
    ('True or False', None)
    """
    if tag_of(value):
        return None
    if is_text(key, default):
        items = value if key.endswith("_lists") else [value]
        items = items if isinstance(items, list) else [items]
        if value is None and (default is None or may_be_off(default)):
            return None
        fits = all(isinstance(item, str) for item in items)
        return None if fits else "text: put it into quotes"
    if key in RANGES:
        fits = RANGES[key].fits(value, default)
        return None if fits else RANGES[key].words(default)
    return must_be_like(value, default)


def may_be_off(default):
    """Whether a key can be given as nothing: an input, or another key's value.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> defaults = YAML().load("[!PLACEHOLDER , !ref <a>, !ref <a>/b, a]")
    >>> [may_be_off(x) for x in defaults]
    [True, True, False, False]
    """
    if tag_of(default) == "!PLACEHOLDER":
        return True
    if tag_of(default) != "!ref":
        return False
    return re.fullmatch(r"<\w+>", str(default.value)) is not None


def must_be_like(value, default):
    """``must_be`` of a key of which only the default is known."""
    if (tag_of(default) or "").startswith(OBJECT):
        if value is None or isinstance(value, dict):
            return None
        return "an object: !new:..., or {option: value} of the one there is"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "True or False"
    if value is None or tag_of(default):
        return None
    if isinstance(default, (int, float)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if number else "a number"
    if isinstance(default, list):
        return None if isinstance(value, list) else "a list: [a, b]"
    if isinstance(default, dict):
        return None if isinstance(value, dict) else "{key: value}"
    return None
