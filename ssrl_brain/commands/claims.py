"""Folders of a command: looked at before any work, its own while it runs."""

import contextlib
import os

from hyperpyyaml import resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from speechbrain.utils.distributed import run_on_main

from ssrl_brain.commands import command_line
from ssrl_brain.commands.yaml_files import in_order, references
from ssrl_brain.system.folders import Output, check
from ssrl_brain.system.locks import sole_use
from ssrl_brain.system.ours import REPLACED, claim, unclaim

# Read by every command that has the key, unless it is one of its outputs.
INPUTS = (
    "data_folder",
    "noise_folder",
    "rir_folder",
    "frames_folder",
    "encoder_folder",
    "visual_encoder_folder",
    "label_folder",
    "head_label_folder",
    "given_label_folder",
    "cohort_folder",
)


def checked(hparams_file, overrides, kinds):
    """Refuses a command that would write where it must not; writes nothing.

    Arguments
    ---------
    hparams_file : str
    overrides : dict
    kinds : dict
        Kind of each folder that the command writes, by its key; a part of the
        path may follow, as in ``output_folder/scores``. The first is the one
        that no other process may use meanwhile.

    Returns
    -------
    list of Output
        Those that are given.

    Raises
    ------
    ValueError
    """
    given = folders_of(hparams_file, overrides)
    outputs = []
    for name, kind in kinds.items():
        key, _, part = name.partition("/")
        if given.get(key):
            path = os.path.join(given[key], part) if part else given[key]
            outputs.append(Output(key, path, kind))
    written = {output.key for output in outputs}
    inputs = {k: given.get(k) for k in INPUTS if k not in written}
    save = given.get("checkpoints_dir")
    if save and not save.startswith(os.path.join(outputs[0].path, "")):
        outputs.append(Output("checkpointer", save, "checkpoints"))
    check(inputs, outputs)
    return outputs


def folders_of(hparams_file, overrides):
    """Paths of a command's folders by key, nothing being built.

    Example
    -------
    >>> file = command_line.find("hparams/dino.yaml")
    >>> found = folders_of(file, {"output_folder": "x", "data_folder": "y"})
    >>> found["export_folder"], found["noise_folder"], found["checkpoints_dir"]
    ('x/export', None, 'x/save')
    """
    stage = command_line.merged(hparams_file, overrides)
    checkpointer = stage.get("checkpointer")
    if isinstance(checkpointer, dict):
        stage["checkpoints_dir"] = checkpointer.get("checkpoints_dir")
    names = ["checkpoints_dir", *(k for k in stage if k.endswith("_folder"))]
    needed = CommentedMap()
    for name in names:  # grows by what it refers to
        if name in stage and name not in needed:
            needed[name] = stage[name]
            names += references(stage[name])
    text = command_line.as_text(in_order(needed))
    resolved = YAML().load(resolve_references(text).read())
    return {
        name: None if value is None else str(value)
        for name, value in resolved.items()
        if name.endswith(("_folder", "_dir"))
    }


@contextlib.contextmanager
def claimed(hparams_file, overrides, kinds):
    """Checks the folders of a command, marks them, and keeps others out.

    Arguments
    ---------
    hparams_file, overrides, kinds
        See ``checked``.

    Yields
    ------
    contextlib.ExitStack
        Holds further locks until the command has ended.

    Raises
    ------
    ValueError
        Before anything is written, or where another process is at work.
    """
    with contextlib.ExitStack() as held:
        run_on_main(enter, args=[held, hparams_file, overrides, kinds])
        yield held


def enter(held, hparams_file, overrides, kinds):
    """What the first rank does for all."""
    take(held, checked(hparams_file, overrides, kinds))


def take(held, outputs):
    """Marks the folders to be written into and locks the first of all.

    Arguments
    ---------
    held : contextlib.ExitStack
        Unlocks it, and takes away those into which nothing was written.
    outputs : list of Output
        As ``checked`` returns them.
    """
    for number, (key, path, kind) in enumerate(outputs):
        if kind in REPLACED:
            continue
        claim(path, kind)
        if number == 0:
            held.enter_context(sole_use(path, key))
        held.callback(unclaim, path)
