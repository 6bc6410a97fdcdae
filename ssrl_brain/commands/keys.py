"""Which keys there are; those that nothing has are told, with the nearest."""

import difflib
import functools

from ssrl_brain.commands.yaml_files import SHIPPED, find, read_yaml, tag_of

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


def keys_of(path):
    """Keys of a YAML file, inherited ones included."""
    return set(read_yaml(find(path)))


@functools.cache
def shipped_keys():
    """Keys of all stages and scripts that come with the package.

    Example
    -------
    >>> {"label_queue_length", "cohort_top", "drop_fraction"} <= shipped_keys()
    True
    """
    found = (read_yaml(path) for path in (SHIPPED / "hparams").glob("*.yaml"))
    return frozenset().union(*(set(x) for x in found if "data_folder" in x))


def refuse_unknown(given, known, where, sign=""):
    """Raises ValueError for keys that nothing has, all of them at once.

    Arguments
    ---------
    given : iterable of str
    known : collection of str
    where : str
        What lacks them: "is not a key of any stage".
    sign : str
        In front of every key.

    Example
    -------
    >>> refuse_unknown(["snrs"], {"lr", "snr"}, "is not a key", "--")
    Traceback (most recent call last):
    ...
    ValueError: --snrs is not a key (did you mean --snr?)
    """
    told = []
    for key in given:
        if key in known:
            continue
        close = difflib.get_close_matches(str(key), sorted(known), n=1)
        hint = f" (did you mean {sign}{close[0]}?)" if close else ""
        told.append(f"{sign}{key} {where}{hint}")
    if told:
        raise ValueError("; ".join(told))


def refuse_placeholders(tree, where):
    """Raises ValueError for inputs that were not given, all of them at once.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> refuse_placeholders(YAML().load("a: !PLACEHOLDER"), "x.yaml")
    Traceback (most recent call last):
    ...
    ValueError: x.yaml needs --a=...
    """
    refuse_missing(
        [key for key in tree if tag_of(tree[key]) == "!PLACEHOLDER"], where
    )


def refuse_missing(keys, where):
    """Raises ValueError for keys that have to be given, if there are any."""
    if keys:
        options = [f"--{key}=...{HINTS.get(key, '')}" for key in keys]
        raise ValueError(f"{where} needs {'; '.join(options)}")


def refuse_incomplete(path, needed):
    """Raises ValueError for a YAML file that is none of a stage.

    Arguments
    ---------
    path : str
    needed : iterable of str
        Keys that it has to have.
    """
    tree = read_yaml(path)
    missing = [key for key in needed if key not in tree]
    if missing:
        more = f" (and {len(missing) - 1} more)" if missing[1:] else ""
        raise ValueError(
            f"{path} lacks {missing[0]}{more}, which a stage needs: name the "
            "YAML of a stage first, files of overrides behind it"
        )
