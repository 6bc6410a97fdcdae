"""What notebooks and scripts call: embed, cluster, verify, train."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from speechbrain.utils.logger import get_logger

from ssrl_brain.clustering.kmeans import Clusters, kmeans
from ssrl_brain.commands import train as training
from ssrl_brain.commands.yaml_files import find
from ssrl_brain.data.audio_check import check_audio
from ssrl_brain.data.audio_files import list_audio, split_suffix
from ssrl_brain.data.preparation import parallel_map
from ssrl_brain.data.shards import shown
from ssrl_brain.data.tars import is_tar
from ssrl_brain.data.trials import iterate_trials
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.metrics import score_trials
from ssrl_brain.evaluation.verification import evaluate
from ssrl_brain.handover.encoder_folder import ExportedEncoder

logger = get_logger(__name__)


class Embeddings(NamedTuple):
    """Embeddings of audio files: ``paths`` (N,), ``vectors`` (N, D) float32.

    Vectors have unit length, so that a dot product is a cosine.
    """

    paths: list[str]
    vectors: np.ndarray


def embed(
    files: str | os.PathLike | Sequence[str | os.PathLike],
    encoder_folder: str | os.PathLike,
    *,
    device: str = "cpu",
    min_seconds: float = 0.1,
    num_workers: int = 0,
    progress: bool = True,
) -> Embeddings:
    """Embeds whole audio files; unusable ones are left out and named.

    Arguments
    ---------
    files : path or sequence of paths
        A folder of audio, also in tars, one file or tar, or a list of files.
    encoder_folder : path
        Export of any stage, or a speaker model of SpeechBrain.
    device : str
    min_seconds : float
        Shorter files are left out.
    num_workers : int
        Reading processes.
    progress : bool
        Whether a bar is shown.

    Returns
    -------
    Embeddings

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is missing, or no file can be used.
    """
    paths = _paths(files)
    checks = list(
        parallel_map(
            _Check(min_seconds),
            paths,
            max(1, num_workers),
            "Checking audio" if progress else "",
        )
    )
    bad = [
        (p, c.reason) for p, c in zip(paths, checks, strict=True) if c.reason
    ]
    for path, reason in bad:
        logger.warning(f"{path} is left out: {reason}")
    good = [(p, c) for p, c in zip(paths, checks, strict=True) if not c.reason]
    if not good:
        raise ValueError(f"no usable audio among {len(paths)} files of {files}")
    kept = [path for path, _ in good]
    table = Utterances(
        kept,
        kept,
        [check.num_frames for _, check in good],
        [check.sample_rate for _, check in good],
        range(len(good)),
    )
    encoder = ExportedEncoder(encoder_folder, device)
    vectors = encoder.embed(
        table,
        "",  # paths are whole
        num_workers=num_workers,
        progress="embedding" if progress else None,
    ).numpy()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings([shown(path) for path in kept], vectors / lengths)


class _Check:
    """``check_audio`` of a path; a class, so that processes can be sent it."""

    def __init__(self, min_seconds):
        self.min_seconds = min_seconds

    def __call__(self, path):
        return check_audio(path, self.min_seconds)


def _paths(files):
    """Paths of a folder, a file or a list."""
    if isinstance(files, (str, os.PathLike)):
        if os.path.isdir(files) or is_tar(os.fspath(files)):
            found = list_audio(files, "files")
            return [os.path.join(files, found.place(x)) for x in found.files]
        files = [files]
    return [os.fspath(path) for path in files]


def cluster(
    embeddings: Embeddings | np.ndarray,
    num_clusters: int,
    *,
    num_restarts: int = 10,
    spherical: bool = True,
    seed: int = 1986,
) -> Clusters:
    """Groups embeddings by k-means.

    Arguments
    ---------
    embeddings : Embeddings or numpy.ndarray
        (N, D)
    num_clusters : int
        K, at most N; about as many as there may be speakers.
    num_restarts : int
        Starts of which the best is kept.
    spherical : bool
        Whether distances are those of directions, as fits cosines.
    seed : int

    Returns
    -------
    Clusters
        ``labels`` (N,), ``centroids`` (K, D), ``distances`` (N,).

    Example
    -------
    >>> labels = cluster(np.float32([[1, 0], [0, 1], [2, 0]]), 2).labels
    >>> bool(labels[0] == labels[2] != labels[1])
    True
    """
    if isinstance(embeddings, Embeddings):
        embeddings = embeddings.vectors
    return kmeans(
        embeddings,
        num_clusters,
        spherical=spherical,
        seed=seed,
        num_restarts=num_restarts,
    )


def verify(
    trials: str | os.PathLike | Sequence[tuple],
    encoder_folder: str | os.PathLike,
    data_folder: str | os.PathLike = ".",
    *,
    device: str = "cpu",
    num_workers: int = 0,
    progress: bool = True,
) -> dict:
    """Scores pairs of files and tells the error rates.

    Arguments
    ---------
    trials : path or sequence of (label, enrol, test)
        A list of "label enrol test" lines, or such triples; the label is 1
        for one speaker, 0 for two.
    encoder_folder : path
    data_folder : path
        Where the named files are, loose or in tars.
    device : str
    num_workers : int
    progress : bool

    Returns
    -------
    dict
        "scores" (M,) in the order of the trials, "eer" in per cent,
        "min_dcf_0.05", "min_dcf_0.01".

    Raises
    ------
    FileNotFoundError, ValueError
        If a list is malformed, or a file of it cannot be used.
    """
    if isinstance(trials, (str, os.PathLike)):
        trials = [fields[1:] for fields in iterate_trials(trials)]
    labels = np.array([int(label) for label, _, _ in trials])
    names = list(dict.fromkeys(n for trial in trials for n in trial[1:]))
    paths = _find(data_folder, names)
    found = embed(
        paths,
        encoder_folder,
        device=device,
        num_workers=num_workers,
        progress=progress,
    )
    if len(found.paths) < len(set(paths)):
        missing = next(p for p in paths if shown(p) not in set(found.paths))
        raise ValueError(f"{missing} cannot be used: see the warning above")
    row = {path: number for number, path in enumerate(found.paths)}
    rows = {n: row[shown(p)] for n, p in zip(names, paths, strict=True)}
    enrol, test = (np.array([rows[t[side]] for t in trials]) for side in (1, 2))
    scores = score_trials(found.vectors, enrol, test)
    figures = evaluate(scores, labels)
    figures.pop("intervals")
    return {"scores": np.asarray(scores), **figures}


def _find(folder, names):
    """Paths of what a list names, of what is in tars the places."""
    try:
        return [_file(Path(folder), name) for name in names]
    except FileNotFoundError:
        listing = list_audio(folder)
        if not listing.places:
            raise
    stems = Counter(split_suffix(path)[0] for path in listing.files)
    places = {}
    for path in listing.files:
        places[path] = listing.place(path)
        if stems[stem := split_suffix(path)[0]] == 1:
            places.setdefault(stem, listing.place(path))
    missing = next((name for name in names if name not in places), None)
    if missing is not None:
        raise FileNotFoundError(
            f"{folder} holds no {missing}, neither in a tar nor beside: check "
            "data_folder"
        )
    return [os.path.join(folder, places[name]) for name in names]


def _file(folder, name):
    """Path of a file that a list names, with or without its extension."""
    path = folder / name
    if path.is_file():
        return str(path)
    stem = split_suffix(path.name)[0]
    near = path.parent.glob("*") if path.parent.is_dir() else ()
    twins = sorted(str(p) for p in near if split_suffix(p.name)[0] == stem)
    if len(twins) != 1:
        raise FileNotFoundError(f"{path} does not exist: check data_folder")
    return twins[0]


def train(stage: str | os.PathLike, **keys) -> Path:
    """Trains a stage; the same call goes on with an interrupted run.

    Arguments
    ---------
    stage : path
        A stage YAML, or the name of one of the package: "dino", "ssrl".
    **keys
        Keys of the YAML and options of the toolkit, as on the command line;
        ``overrides`` is a YAML, or several, whose keys take the place of the
        stage's.

    Returns
    -------
    Path
        The encoder folder.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``train.py`` does, in one line.
    """
    name = os.fspath(stage)
    if not name.endswith((".yaml", ".yml")):
        name = f"hparams/{name}.yaml"
    overrides = keys.pop("overrides", ())
    if isinstance(overrides, (str, os.PathLike)):
        overrides = [overrides]
    arguments = [find(name), *(os.fspath(path) for path in overrides)]
    for key, value in keys.items():
        flag = value is True and key in ("noprogressbar", "debug")
        text = "null" if value is None else value
        arguments.append(f"--{key}" if flag else f"--{key}={text}")
    brain = training.main(arguments)
    return Path(brain.hparams.export_folder)
