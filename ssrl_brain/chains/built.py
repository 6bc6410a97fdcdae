"""A step as it would be trained, of tensors that have no values."""

import functools
import io
from typing import NamedTuple

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from ssrl_brain.commands import command_line
from ssrl_brain.handover.export import inference_yaml

# Overrides of a stage that is not to run: some loggers, when they are made,
# begin a run of their own.
NO_LOGS = {"tensorboard": False, "train_logger": None}


class Built(NamedTuple):
    """A step as it would be trained.

    ``encoder`` and ``exported`` have the shape of every tensor by its name,
    ``features`` is the text of a YAML; ``head`` is the shape (K, D) of a
    classifier and ``num_clusters`` the K of the labels that it learns, where
    there are such; ``dim`` is the size of an embedding and ``outputs`` what
    the head makes of it. ``faces`` is the encoder of faces, where there is
    one, and ``joined`` the size of the embeddings of both together.
    """

    encoder: dict
    exported: dict
    features: str
    sample_rate: int
    head: tuple | None
    num_clusters: int | None
    dim: int
    outputs: int
    faces: dict
    joined: int


def build(file, overrides):
    """``Built`` of a stage, of meta tensors."""
    with command_line.errors_of(file):
        text = command_line.resolved_yaml(file, overrides)
    content = inference_yaml(text)
    features = yaml_text(content, "compute_features", "mean_var_norm")
    with (
        command_line.errors_of(file),
        torch.device("meta"),
        torch.no_grad(),
    ):
        hparams = load_hyperpyyaml(text)
        student = hparams.get("audio", hparams["student"]).train()
        if "make_head" in hparams:
            student.head = hparams["make_head"](out_neurons=2)
        heard = torch.empty(feature_shape(features, hparams["sample_rate"]))
        embeddings, outputs = student([heard])
        faces, joined = {}, embeddings.shape[-1]
        if "visual" in hparams:
            size = hparams["image_size"]
            seen, votes = hparams["visual"].train()(
                [torch.empty(2, 3, size, size)]
            )
            torch.stack([outputs, votes])  # they vote for the same clusters
            faces = shapes(hparams["visual"].encoder.state_dict())
            joined += seen.shape[-1]
    head = getattr(hparams.get("head"), "weight", None)
    return Built(
        shapes(hparams["embedding_model"].state_dict()),
        shapes(hparams["exported"].encoder.state_dict()),
        features,
        hparams["sample_rate"],
        None if head is None else tuple(head.shape),
        hparams["num_clusters"] if "label_folder" in hparams else None,
        embeddings.shape[-1],
        outputs.shape[-1],
        faces,
        joined,
    )


def shapes(state):
    """Shape of every tensor by its name."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def yaml_text(content, *keys):
    """Some keys of an encoder folder's YAML, as a text that can be loaded."""
    text = io.StringIO()
    YAML().dump({key: content[key] for key in keys}, text)
    return text.getvalue()


@functools.lru_cache
def yaml_features(text):
    """[compute_features, mean_var_norm] of a text."""
    with torch.device("cpu"):
        found = load_hyperpyyaml(text)
    return [found["compute_features"], found["mean_var_norm"]]


@functools.lru_cache
def feature_shape(text, sample_rate):
    """Shape of the features of two utterances of one second."""
    compute_features, mean_var_norm = yaml_features(text)
    with torch.device("cpu"):
        lengths = torch.ones(2)
        return mean_var_norm(
            compute_features(torch.zeros(2, sample_rate)), lengths
        ).shape
