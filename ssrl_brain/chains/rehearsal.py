"""A chain tried at full size before it runs: does each step fit the next?

Every step is built as it would be trained, but of tensors that have a shape
and no values, and what it would hand on is held against what the steps that
start from it expect. Seconds, instead of an error after days.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from speechbrain.utils.logger import get_logger

from ssrl_brain.chains.built import (
    NO_LOGS,
    build,
    shapes,
    yaml_features,
)
from ssrl_brain.chains.chain_file import makes_labels
from ssrl_brain.commands import command_line
from ssrl_brain.handover.initial_weights import check_features
from ssrl_brain.handover.trust import read_weights, weights_of
from ssrl_brain.system.files import read_array

logger = get_logger(__name__)

# What a step starts from does not change what it is, nor does where its data
# lie.
FOLDERS = ("encoder_folder", "visual_encoder_folder", "label_folder")
DATA = (
    "data_folder",
    "prepared_folder",
    "output_folder",
    "noise_folder",
    "rir_folder",
    "frames_folder",
    "trial_lists",
)


class Needed(NamedTuple):
    """Folders that a step starts from, or None."""

    encoder: str | None
    labels: str | None
    head: str | None  # label folder of the classifier's first weights
    faces: str | None = None


def rehearse(steps, known=None):
    """Builds all steps of a chain and hands on what they would.

    Arguments
    ---------
    steps : list of Step
    known : dict, optional
        What was built for other chains; steps that differ in nothing but
        their folders are built once.

    Returns
    -------
    dict
        ``Built`` by the name of the step; one that cannot be built without
        values is left out, and a warning says so.

    Raises
    ------
    ValueError, OSError
        If a step could not start from what it is given.
    """
    known = {} if known is None else known
    built, encoders, labels = {}, {}, {}
    for step in steps:
        try:
            found, needed = build_once(step, known)
        except RuntimeError as error:  # of which NotImplementedError is one
            text = " ".join(str(error).split())[:200]
            if "meta" not in text.lower():  # it would not run either
                raise ValueError(f"step {step.name}: {text}") from error
            logger.warning("%s is not rehearsed: %s", step.name, text)
            continue
        try:
            check(found, needed, encoders, labels)
        except ValueError as error:
            raise ValueError(f"step {step.name}: {error}") from None
        built[step.name] = found
        encoders[str(step.folder / "export")] = found
        if makes_labels(step.yaml):
            labels[str(step.folder / "labels")] = found.head
        elif step.clusters:
            made = num_clusters(step, known), found.joined
            labels[str(step.folder / "clusters")] = made
    return built


def build_once(step, known):
    """(Built, Needed) of a step."""
    same, folders = split(step.arguments(step.yaml, {}))
    if same not in known:
        with tempfile.TemporaryDirectory() as folder:
            stand_ins = {"output_folder": folder, **NO_LOGS}
            file, _, overrides = command_line.parse(
                step.arguments(step.yaml, stand_ins)
            )
            built = build(file, overrides)
        tree = command_line.read_yaml(file)
        tree.update({k: v for k, v in overrides.items() if k not in FOLDERS})
        known[same] = built, tree
    built, tree = known[same]
    return built, needed_by({**tree, **folders})


def split(line):
    """(arguments of a command line that matter, folders that it names)"""
    rest, folders = [], {}
    for argument in line:
        key, _, value = argument.removeprefix("--").partition("=")
        if key in FOLDERS:
            folders[key] = value or None
        elif key not in DATA:
            rest.append(argument)
    return (*rest, *sorted(folders)), folders


def needed_by(tree):
    """Folders of a stage YAML, found through what its keys refer to.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> text = "{label_folder: a, head_label_folder: !ref <label_folder>}"
    >>> needed_by(YAML().load(text))
    Needed(encoder=None, labels='a', head='a', faces=None)
    """

    def value(key):
        found = tree.get(key)
        tag = getattr(getattr(found, "tag", None), "value", None)
        if tag == "!ref":
            return value(str(found.value).strip("<>"))
        return None if tag or found is None else str(found)

    keys = ("encoder_folder", "label_folder", "head_label_folder")
    faces = value("visual_encoder_folder")
    return Needed(*(value(key) for key in keys), faces)


def num_clusters(step, known):
    """K of the labels that are made with the encoder of a step."""
    folders = {"encoder_folder": "none", "label_folder": "none"}
    line = step.arguments("hparams/pseudo_label.yaml", folders)
    same, _ = split(line)
    if same not in known:
        file, _, overrides = command_line.parse(line)
        cluster = command_line.load(file, overrides)["cluster"]
        known[same] = cluster.keywords["num_clusters"]
    return known[same]


def check(found, needed, encoders, labels):
    """Holds a step against what it starts from.

    Arguments
    ---------
    found : Built
    needed : Needed
    encoders, labels : dict
        ``Built`` of earlier steps by their encoder folder, and shapes (K, D)
        by label folder; other folders are looked for on the disk.

    Raises
    ------
    ValueError, OSError
    """
    if needed.encoder:
        check_encoder(found, needed.encoder, encoders.get(needed.encoder))
    if needed.faces and found.faces:
        theirs = shapes(read_weights(weights_of(needed.faces)))
        refuse_misfit(needed.faces, theirs, found.faces)
    if needed.labels and found.num_clusters is not None:
        number, _ = labels_of(needed.labels, labels)
        if number not in ("auto", found.num_clusters):
            raise ValueError(
                f"{needed.labels} has labels of {number} clusters, and "
                f"num_clusters is {found.num_clusters}: give them the same"
            )
    if needed.head and found.head is not None:
        shape = labels_of(needed.head, labels)
        if shape not in (("auto", found.head[1]), found.head):
            raise ValueError(
                f"{needed.head} has {shape[0]} centroids of {shape[1]} "
                f"dimensions, the classifier {found.head[0]} of "
                f"{found.head[1]}: use one encoder block and one num_clusters"
            )


def refuse_misfit(folder, theirs, own):
    """Raises ValueError if the tensors of an encoder have other shapes."""
    names = sorted(
        name
        for name in theirs.keys() | own.keys()
        if theirs.get(name) != own.get(name)
    )
    if names:
        raise ValueError(
            f"the encoder of {folder} does not fit: {names[0]} is "
            f"{theirs.get(names[0])} there and {own.get(names[0])} "
            "here: use the same encoder block for both"
        )


def check_encoder(found, folder, other):
    """Whether an encoder can be loaded, and hears what it was trained on."""
    own = yaml_features(found.features)
    if other is None:
        theirs = shapes(read_weights(weights_of(folder)))
        check_features(folder, own, found.sample_rate)
    else:
        theirs = other.exported
    refuse_misfit(folder, theirs, found.encoder)
    if other is not None and other.features != found.features:
        with tempfile.TemporaryDirectory() as heard:
            (Path(heard) / "hyperparams.yaml").write_text(other.features)
            try:
                check_features(heard, own, found.sample_rate)
            except ValueError:
                raise ValueError(
                    f"the encoder of {folder} was trained on other features: "
                    "use the same n_mels, win_length and hop_length for both"
                ) from None


def labels_of(folder, labels):
    """(K, D) of a label folder, of an earlier step or on the disk."""
    if folder in labels:
        return labels[folder]
    path = Path(folder) / "centroids.npy"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a label folder")
    return np.shape(read_array(path, num_dims=2))
