"""A label folder: pseudo labels that one stage hands to the next.

Plain files: ``embeddings.npy`` (N, D), ``centroids.npy`` (K, D),
``pseudo_labels.csv``, ``source.json``.
"""

import csv
from array import array
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssrl_brain.data.utterances import Strings, as_strings
from ssrl_brain.system.files import (
    read_array,
    read_json,
    read_table,
    write_json,
)
from ssrl_brain.system.folders import atomic_folder
from ssrl_brain.system.locks import locked

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
    with locked(folder), atomic_folder(folder, "labels") as temporary:
        if embeddings is not None:
            embeddings = np.asarray(embeddings, dtype=np.float32)  # no copy
            np.save(temporary / "embeddings.npy", embeddings)
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
    ids, labels, distances, keep = read_label_table(folder)
    if ids != as_strings(table.ids):
        raise ValueError(
            f"{folder}/pseudo_labels.csv does not list the utterances of the "
            f"table in their order: {AGAIN}"
        )
    centroids = read_array(folder / "centroids.npy", num_dims=2)
    if labels.min() < 0 or labels.max() >= len(centroids):
        raise ValueError(
            f"{folder}: labels must lie in 0..{len(centroids) - 1}, found "
            f"{labels.min()}..{labels.max()}: {AGAIN}"
        )
    return PseudoLabels(labels, distances, keep, centroids, source)


def read_label_table(folder):
    """Columns of a label folder's ``pseudo_labels.csv``.

    Arguments
    ---------
    folder : str

    Returns
    -------
    ids : Strings
    labels, distances, keep : numpy.ndarray
        (N,) int64, float64 and bool.

    Raises
    ------
    FileNotFoundError, ValueError
        In one line that names the file.
    """
    path = Path(folder) / "pseudo_labels.csv"
    header, rows = read_table(path)
    if header != COLUMNS:
        raise ValueError(
            f"{path} must have the columns {','.join(COLUMNS)}: {AGAIN}"
        )
    ids, columns = Strings(), (array("q"), array("d"), array("q"))
    for id, *numbers in rows:
        ids.append(id)
        try:
            for column, kind, number in zip(
                columns, (int, float, int), numbers, strict=True
            ):
                column.append(kind(number))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{path}: {error}: {AGAIN}") from None
    types = np.int64, np.float64, np.int64
    labels, distances, keep = map(np.frombuffer, columns, types)
    return ids, labels, distances, keep.astype(bool)


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
