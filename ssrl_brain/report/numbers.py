"""What the figures show, as arrays: no drawing, no files."""

from typing import NamedTuple

import numpy as np
import scipy.stats
import sklearn.decomposition
import sklearn.manifold
import sklearn.metrics
import torch

from ssrl_brain.noisy_labels.gmm import TwoGaussians


def series(history, key):
    """Values of a key over epochs, without the epochs that lack it.

    Arguments
    ---------
    history : list of dict
    key : str

    Returns
    -------
    epochs, values : numpy.ndarray
        (n,) integers and floats.

    Example
    -------
    >>> history = [{"epoch": 1}, {"epoch": 2, "eer": 9.5}]
    >>> series(history, "eer")
    (array([2]), array([9.5]))
    """
    found = [
        (record["epoch"], record[key])
        for record in history
        if record.get(key) is not None
    ]
    epochs, values = zip(*found, strict=True) if found else ((), ())
    return np.array(epochs, dtype=int), np.array(values, dtype=float)


def bin_edges(histogram):
    """(bins + 1,) edges of a logged histogram."""
    num_bins = len(histogram["counts"])
    return np.linspace(histogram["low"], histogram["high"], num_bins + 1)


def component_curves(x, mixture, mass=1.0):
    """The weighted densities of both Gaussians (SSRL, figure 2).

    Arguments
    ---------
    x : numpy.ndarray
        (n,) log losses.
    mixture : list
        (3, 2) weights, means and standard deviations, as logged.
    mass : float
        Area below both: utterances times width of a bin, to lie over counts.

    Returns
    -------
    numpy.ndarray
        (2, n), the clean component first.
    """
    weights, means, stds = (np.array(row)[:, None] for row in mixture)
    return mass * weights * scipy.stats.norm.pdf(x, means, stds)


def mixture_range(mixture, widths=4.0):
    """(low, high) log losses between which a mixture is worth drawing."""
    _, means, stds = np.array(mixture)
    return (means - widths * stds).min(), (means + widths * stds).max()


def as_mixture(mixture):
    """A logged mixture as ``clean_probability`` takes it."""
    return TwoGaussians(*torch.tensor(mixture, dtype=torch.float64))


def det_points(scores, labels):
    """False alarm and miss rates over all thresholds, for a DET curve.

    Arguments
    ---------
    scores, labels : numpy.ndarray
        (M,) and 1 for the same speaker, 0 for different ones.

    Returns
    -------
    alarms, misses : numpy.ndarray
        (n,) rates strictly between 0 and 1, the only ones such axes can show;
        points closer than a hundredth of a deviate are left out.

    Example
    -------
    >>> det_points(np.array([0.9, 0.3, 0.6, 0.1]), np.array([1, 1, 0, 0]))
    (array([0.5]), array([0.5]))
    """
    alarms, misses, _ = sklearn.metrics.det_curve(labels, scores)
    inside = (alarms > 0) & (alarms < 1) & (misses > 0) & (misses < 1)
    alarms, misses = alarms[inside], misses[inside]
    rounded = np.round(scipy.stats.norm.ppf([alarms, misses]), 2)
    kept = np.ones(len(alarms), bool)
    kept[1:] = (np.diff(rounded) != 0).any(0)
    return alarms[kept], misses[kept]


class Clusters(NamedTuple):
    """Clusters that have utterances, in order of their number.

    ``numbers``, ``sizes``, ``distances`` (K,): mean distance of utterances to
    their centroid; ``members``: rows of each, the closest first.
    """

    numbers: np.ndarray
    sizes: np.ndarray
    distances: np.ndarray
    members: list


def clusters_of(labels, distances):
    """Utterances by cluster; negative labels belong to none.

    Arguments
    ---------
    labels, distances : numpy.ndarray
        (N,)

    Returns
    -------
    Clusters

    Example
    -------
    >>> found = clusters_of(np.array([4, 2, 4]), np.array([0.3, 0.5, 0.1]))
    >>> found.numbers, found.distances, [m.tolist() for m in found.members]
    (array([2, 4]), array([0.5, 0.2]), [[1], [2, 0]])
    """
    order = np.lexsort((distances, labels))
    order = order[labels[order] >= 0]
    numbers, start = np.unique(labels[order], return_index=True)
    members = np.split(order, start[1:]) if len(numbers) else []
    sizes = np.array([len(rows) for rows in members], dtype=int)
    means = np.array([distances[rows].mean() for rows in members])
    return Clusters(numbers, sizes, means, members)


def most_doubtful(clusters, number):
    """Positions of clusters of two or more, the most scattered first."""
    order = np.argsort(-clusters.distances, kind="stable")
    return [i for i in order if clusters.sizes[i] > 1][:number]


def largest(clusters, number):
    """Positions of clusters, the largest first."""
    return np.argsort(-clusters.sizes, kind="stable")[:number].tolist()


def places(embeddings, max_rows=1500, seed=0):
    """Places of utterances on a map where near ones are alike (t-SNE).

    Arguments
    ---------
    embeddings : numpy.ndarray
        (N, D), none of them zero.
    max_rows : int
        Drawn from more.
    seed : int

    Returns
    -------
    rows : numpy.ndarray
        (n,) of the embeddings; empty for fewer than ten.
    places : numpy.ndarray
        (n, 2)
    """
    rows = np.arange(len(embeddings))
    if len(rows) < 10:
        return rows[:0], np.empty((0, 2))
    if len(rows) > max_rows:
        order = np.random.default_rng(seed).permutation(len(rows))
        rows = np.sort(order[:max_rows])
    points = np.float64(embeddings[rows])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = sklearn.decomposition.PCA(
        min(50, *points.shape), random_state=seed
    ).fit_transform(points)
    return rows, sklearn.manifold.TSNE(
        perplexity=min(30, (len(rows) - 1) / 3), max_iter=500, random_state=seed
    ).fit_transform(points)


def parent(run, key):
    """Name of the step whose "encoder_folder" or "label_folder" a run uses.

    Example
    -------
    >>> from ssrl_brain.report.runs import Run
    >>> run = Run("ssrl", None, settings={"encoder_folder": "out/dino/export"})
    >>> parent(run, "encoder_folder"), parent(run, "label_folder")
    ('dino', None)
    """
    folders = str(run.settings.get(key) or "").rstrip("/").split("/")
    return folders[-2] if len(folders) > 1 else None


def start_times(runs):
    """Training time of all that a run stands on, by name of the run.

    Arguments
    ---------
    runs : list of Run
        Each after those that it started from.

    Returns
    -------
    dict
        Seconds; steps that start from nothing begin at 0.
    """
    ancestors = {}
    for run in runs:
        direct = {parent(run, "encoder_folder"), parent(run, "label_folder")}
        direct &= ancestors.keys()
        ancestors[run.name] = direct.union(*(ancestors[x] for x in direct))
    seconds = {run.name: run.seconds for run in runs}
    return {
        name: sum(seconds[other] for other in others)
        for name, others in ancestors.items()
    }


def error_lines(runs):
    """``error_over_time`` of all runs of a chain that have any.

    A run that goes on from the encoder of another begins where that one ends.

    Arguments
    ---------
    runs : list of Run

    Returns
    -------
    list of tuple
        (name, seconds (n,), eer (n,))
    """
    starts = start_times(runs)
    lines = {}
    for run in runs:
        seconds, eer = error_over_time(run, starts[run.name])
        if not len(eer):
            continue
        before = lines.get(parent(run, "encoder_folder"))
        if before is not None:
            seconds = np.append(starts[run.name], seconds)
            eer = np.append(before[1][-1], eer)
        lines[run.name] = seconds, eer
    return [(name, *line) for name, line in lines.items()]


def error_over_time(run, start=0.0):
    """EER against training time (SSRL, figure 3).

    Of the teacher where there is one. Without a validation at the end, its
    point is the verification of the exported encoder.

    Arguments
    ---------
    run : Run
    start : float
        Seconds trained before.

    Returns
    -------
    seconds, eer : numpy.ndarray
        (n,) and in per cent.
    """
    elapsed = start + np.cumsum([r.get("seconds") or 0 for r in run.history])
    points = [
        (time, record.get("eer_teacher", record.get("eer_student")))
        for time, record in zip(elapsed, run.history, strict=True)
    ]
    validated = bool(points) and points[-1][1] is not None
    points = [point for point in points if point[1] is not None]
    verified = [x["eer"] for x in run.verified.values() if "eer" in x]
    if verified and not validated:
        points.append((start + run.seconds, verified[0]))
    seconds, eer = zip(*points, strict=True) if points else ((), ())
    return np.array(seconds, dtype=float), np.array(eer, dtype=float)
