"""What one stage hands to the next: plain files in a folder.

Encoder folder: ``hyperparams.yaml``, ``embedding_model.ckpt``, see
``ssrl_brain.export``. Label folder: ``embeddings.npy`` (N, D),
``centroids.npy`` (K, D), ``pseudo_labels.csv``, ``source.json``.
"""

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from ssrl_brain.files import (
    atomic_folder,
    locked,
    read_array,
    read_json,
    read_table,
    write_json,
)
from ssrl_brain.models import load_centroids_
from ssrl_brain.trust import check_layers, read_weights

COLUMNS = ["ID", "pseudo_label", "distance", "keep"]
AGAIN = "run pseudo_label.py again"


class PseudoLabels(NamedTuple):
    """A label folder, in the order of the utterance table.

    ``labels`` (N,) int64, ``distances`` (N,), ``keep`` (N,) bool,
    ``centroids`` (K, D), ``source`` dict.
    """

    labels: np.ndarray
    distances: np.ndarray
    keep: np.ndarray
    centroids: np.ndarray
    source: dict


def write_pseudo_labels(
    folder, table, clusters, keep=None, embeddings=None, source=None
):
    """Writes a label folder, whole or not at all.

    Arguments
    ---------
    folder : str
    table : Utterances
    clusters : Clusters
        labels (N,), centroids (K, D), distances (N,).
    keep : numpy.ndarray, optional
        (N,) bool, rows that purification keeps.
    embeddings : numpy.ndarray, optional
        (N, D)
    source : dict, optional
        How the labels were made; plain values.
    """
    labels, centroids, distances = (np.asarray(x) for x in clusters)
    keep = np.ones(len(labels), bool) if keep is None else np.asarray(keep)
    source = {
        **(source or {}),
        "utterances": table.fingerprint(),
        "num_utterances": len(table),
        "num_clusters": len(centroids),
    }
    with locked(folder), atomic_folder(folder) as temporary:
        if embeddings is not None:
            np.save(temporary / "embeddings.npy", np.float32(embeddings))
        np.save(temporary / "centroids.npy", np.float32(centroids))
        with open(
            temporary / "pseudo_labels.csv", "w", newline="", encoding="utf-8"
        ) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(
                (name, int(label), f"{distance:.6g}", int(kept))
                for name, label, distance, kept in zip(
                    table.ids, labels, distances, keep, strict=True
                )
            )
        write_json(temporary / "source.json", source)


def read_pseudo_labels(folder, table):
    """Reads a label folder and checks that it belongs to a table.

    Arguments
    ---------
    folder : str
    table : Utterances

    Returns
    -------
    PseudoLabels

    Raises
    ------
    FileNotFoundError, ValueError
        In one line: what is missing or does not fit, and the remedy.

    Example
    -------
    >>> from ssrl_brain.clustering.kmeans import Clusters
    >>> from ssrl_brain.data.utterances import Utterances
    >>> table = Utterances(["a", "b"], ["a", "b"], [1, 1], [1, 1], [0, 1])
    >>> clusters = Clusters(np.array([0, 1]), np.eye(2), np.zeros(2))
    >>> folder = getfixture("tmp_path") / "labels"
    >>> write_pseudo_labels(folder, table, clusters)
    >>> read_pseudo_labels(folder, table).labels
    array([0, 1])
    """
    folder = Path(folder)
    source = read_json(folder / "source.json")
    if source is None:
        raise FileNotFoundError(
            f"{folder} is not a label folder: make it with "
            "`python pseudo_label.py --encoder_folder=... "
            f"--label_folder={folder}`"
        )
    if not isinstance(source, dict):
        raise ValueError(f"{folder}/source.json is damaged: {AGAIN}")
    if source.get("utterances") != table.fingerprint():
        raise ValueError(
            f"{folder} was made from another utterance table "
            f"({source.get('num_utterances')!s:.20} utterances, now "
            f"{len(table)}): {AGAIN}"
        )
    header, rows = read_table(folder / "pseudo_labels.csv")
    if header != COLUMNS:
        raise ValueError(
            f"{folder}/pseudo_labels.csv must have the columns "
            f"{','.join(COLUMNS)}: {AGAIN}"
        )
    if [row[0] for row in rows] != list(table.ids):
        raise ValueError(
            f"{folder}/pseudo_labels.csv does not list the utterances of the "
            f"table in their order: {AGAIN}"
        )
    centroids = read_array(folder / "centroids.npy", num_dims=2)
    try:
        labels = np.array([row[1] for row in rows], dtype=np.int64)
        distances = np.array([row[2] for row in rows], dtype=np.float64)
        keep = np.array([row[3] for row in rows], dtype=np.int64).astype(bool)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{folder}/pseudo_labels.csv: {error}: {AGAIN}"
        ) from None
    if labels.min() < 0 or labels.max() >= len(centroids):
        raise ValueError(
            f"{folder}: labels must lie in 0..{len(centroids) - 1}, found "
            f"{labels.min()}..{labels.max()}: {AGAIN}"
        )
    return PseudoLabels(labels, distances, keep, centroids, source)


def read_embeddings(folder):
    """(N, D) float32 embeddings that the labels of a folder were made from.

    Arguments
    ---------
    folder : str

    Raises
    ------
    FileNotFoundError
        If the labels were not made by ``pseudo_label.py``.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "embeddings.npy", np.eye(2, dtype=np.float32))
    >>> read_embeddings(folder).shape
    (2, 2)
    """
    path = Path(folder) / "embeddings.npy"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run pseudo_label.py again")
    return np.load(path, allow_pickle=False)


def load_encoder_(encoder, folder):
    """Loads the weights of an encoder folder into an encoder, strictly.

    The toolkit's ``Pretrainer`` only warns when keys differ, which silently
    leaves random weights.

    Arguments
    ---------
    encoder : torch.nn.Module
    folder : str
        With ``embedding_model.ckpt``, as every stage exports and as speaker
        models of SpeechBrain are published.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    path = Path(folder) / "embedding_model.ckpt"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is not an encoder folder (no embedding_model.ckpt): "
            "give --encoder_folder=<output folder of a stage>/export, made "
            "for instance by `python train.py hparams/dino.yaml ...`"
        )
    state = read_weights(path)
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        reasons = "; ".join(str(error).splitlines()[1:4]).replace("\t", "")
        raise ValueError(
            f"{path} does not fit this stage's encoder: use the same encoder "
            f"block in both YAMLs ({reasons})"
        ) from None


def check_features(folder, features, sample_rate):
    """Makes sure that an encoder hears what it was trained on.

    Weights fit any features of the right number of bands, so both are let
    hear the same second of noise.

    Arguments
    ---------
    folder : str
        Encoder folder; without ``hyperparams.yaml`` there is nothing to check.
    features : list of torch.nn.Module
        The stage's ``compute_features`` and ``mean_var_norm``.
    sample_rate : int

    Raises
    ------
    ValueError
        If the features differ, or are made by something that is no network.
    """
    path = Path(folder) / "hyperparams.yaml"
    if not path.is_file():
        return
    given, text = YAML().load(path), io.StringIO()
    own = ["compute_features", "mean_var_norm"]
    needed = [key for key in own if key in given]
    for key in needed:  # grows by what these refer to
        part = io.StringIO()
        YAML().dump({key: given[key]}, part)
        text.write(part.getvalue())
        names = re.findall(r"<(\w+)", part.getvalue())
        needed += [name for name in dict.fromkeys(names) if name not in needed]
    try:
        check_layers(text.getvalue())
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}: if you trust who made it, give a folder with "
            "its embedding_model.ckpt alone"
        ) from None
    found = load_hyperpyyaml(text.getvalue())
    theirs = [found[key] for key in own if key in found]
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(1, sample_rate, generator=generator)
    ours, theirs = (_features(wave, modules) for modules in (features, theirs))
    if ours.shape != theirs.shape or not torch.allclose(
        ours, theirs, rtol=1e-3, atol=1e-3
    ):
        raise ValueError(
            f"{folder} was trained on other features than those of this "
            "stage: give it the n_mels, win_length and hop_length (or the "
            f"whole compute_features and mean_var_norm) of {path}"
        )


@torch.no_grad()
def _features(wave, modules):
    """Output (1, frames, F) of feature layers that follow each other."""
    compute_features, *normalise = modules
    x = compute_features(wave)
    for module in normalise:
        x = module(x, torch.ones(1))
    return x


def initialise(
    encoder,
    encoder_folder=None,
    head=None,
    label_folder=None,
    table_csv=None,
    features=None,
    sample_rate=None,
):
    """Starting weights of a stage.

    Arguments
    ---------
    encoder : torch.nn.Module
    encoder_folder : str, optional
        Of an earlier stage; random weights without it.
    head : torch.nn.Module, optional
        Classifier that begins at the centroids of ...
    label_folder : str, optional
        ... this folder.
    table_csv : str, optional
        Utterance table that the labels must belong to.
    features : list of torch.nn.Module, optional
        See ``check_features``, as for ...
    sample_rate : int, optional
        ... this.
    """
    if encoder_folder:
        load_encoder_(encoder, encoder_folder)
        if features is not None:
            check_features(encoder_folder, features, sample_rate)
    if head is not None and label_folder:
        from ssrl_brain.data.utterances import Utterances

        table = Utterances.from_csv(table_csv)
        load_centroids_(head, read_pseudo_labels(label_folder, table).centroids)
