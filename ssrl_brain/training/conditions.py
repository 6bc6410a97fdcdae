"""Under which conditions a run was begun, and whether they still hold.

A resumed run that met another value half-way would be neither the old run nor
the new one. ``conditions.json`` of the output folder tells.
"""

import hashlib
import math
from importlib.metadata import version
from pathlib import Path

from speechbrain.utils.logger import get_logger

import ssrl_brain
from ssrl_brain.data.preparation import read_summary
from ssrl_brain.system.files import read_json, write_json

logger = get_logger(__name__)

NAME = "conditions.json"
# What the trained weights do not depend on, or what checkpoints know better:
# they hold a fingerprint of the utterances, wherever these are.
FREE = {
    "allow_changes",
    "data_folder",
    "epoch_log",
    "export_foreign",
    "log_every",
    "frames_folder",
    "num_workers",
    "output_folder",
    "prepared_folder",
    "probe_every",
    "tensorboard",
    "train_logger",
    "trial_lists",
    "trust_encoder",
    "valid_every",
    "valid_list",
}
# A run may be made longer (or ended earlier); its schedules then change.
WARNED = {"number_of_epochs"}
RUN_OPTIONS = ("precision", "grad_accumulation_factor", "max_grad_norm")


def conditions(stage, run_options):
    """What a run depends on, as plain values.

    Arguments
    ---------
    stage : dict
        Tree of the stage's YAML with its overrides, references not resolved:
        so that a changed value shows where it is given and nowhere else.
    run_options : speechbrain RunOptions

    Returns
    -------
    dict
        "values" by key, "run" options, "versions" of the software.
    """
    return {
        "values": plain(stage),
        "run": {key: getattr(run_options, key) for key in RUN_OPTIONS},
        "versions": versions(),
    }


def plain(node):
    """A YAML tree as plain values; tags become keys or words.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> plain(YAML().load("{a: !new:b.C {d: 1}, e: !ref <a>, f: [0.5, null]}"))
    {'a': {'!new:b.C': {'d': 1}}, 'e': '!ref <a>', 'f': [0.5, None]}
    """
    tag = getattr(getattr(node, "tag", None), "value", None)
    if isinstance(node, dict):
        node = {str(key): plain(value) for key, value in node.items()}
    elif isinstance(node, list):
        node = [plain(value) for value in node]
    elif tag is not None:
        return f"{tag} {node.value}".strip()
    else:
        if isinstance(node, float) and not math.isfinite(node):
            return str(node)  # JSON has no infinity
        for kind in (bool, int, float, str):  # without the marks of the file
            if isinstance(node, kind):
                return kind(node)
        return None
    return node if tag is None else {tag: node}


def versions():
    """Versions of the software, and a digest of this package's code."""
    code = hashlib.sha256()
    root = Path(ssrl_brain.__file__).parent
    for path in sorted(root.rglob("*.py")):
        code.update(path.read_bytes())
    return {
        "ssrl_brain": ssrl_brain.__version__,
        "its code": code.hexdigest()[:12],
        **{name: version(name) for name in ("speechbrain", "torch")},
    }


def banks(prepared_folder):
    """Fingerprints of the noise and the rooms that a folder was made from."""
    made_from = read_summary(prepared_folder).get("made_from", {})
    return {key: made_from.get(key) for key in ("noise", "rirs")}


def changes(before, now):
    """Yields (name, old, new) of what differs, as deep as it can be named.

    Example
    -------
    >>> list(changes({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}, "d": 3}))
    [('a.c', 2, 'nothing'), ('d', 'nothing', 3)]
    """
    for key in [*before, *(key for key in now if key not in before)]:
        old, new = before.get(key, "nothing"), now.get(key, "nothing")
        if isinstance(old, dict) and isinstance(new, dict):
            for name, *values in changes(old, new):
                yield f"{key}.{name}", *values
        elif old != new:
            yield key, old, new


def check(hparams, now):
    """Compares with the conditions that a run was begun under.

    Nothing is compared before the first checkpoint, or where ``now`` lacks a
    part.

    Arguments
    ---------
    hparams : dict
        Of the stage: ``output_folder``, ``checkpointer``, ``allow_changes``,
        which warns where an error would be raised.
    now : dict
        See ``conditions``.

    Raises
    ------
    ValueError
        Naming what changed, from what to what, and the remedy.
    """
    folder = hparams["output_folder"]
    if hparams["checkpointer"].find_checkpoint() is None:
        return
    before = read_json(Path(folder) / NAME)
    if before is None:
        logger.warning(
            "%s has a checkpoint but no %s: whether the options are those "
            "that it was begun with cannot be told",
            folder,
            NAME,
        )
        return
    warned, refused = [], []
    for part in now:
        for name, old, new in changes(before.get(part, {}), now[part]):
            text = f"{name}={short(old)}, now {short(new)}"
            key = name.split(".")[0]
            if part == "versions" or (part == "values" and key in WARNED):
                warned.append(text)
            elif part != "values" or key not in FREE:
                refused.append(text)
    if refused and not hparams["allow_changes"]:
        others = f" (and {len(refused) - 1} more)" if refused[1:] else ""
        raise ValueError(
            f"{folder} was begun with {refused[0]}{others}: give the old "
            "value, another --output_folder, or --allow_changes=True to go on"
        )
    for text in warned + refused:
        logger.warning("%s was begun with %s", folder, text)


def short(value):
    """A value for a message.

    Example
    -------
    >>> short("x" * 100)
    'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
    """
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def write(folder, now):
    """Writes the conditions that a run goes on under."""
    write_json(Path(folder) / NAME, now)
