"""Trial lists, the encoders that score them, and the result."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ruamel.yaml import YAML
from speechbrain.inference.speaker import SpeakerRecognition

from ssrl_brain.data.trials import read_trials
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.embed import embed
from ssrl_brain.intervals import bootstrap, interval
from ssrl_brain.metrics import score_trials, verification_metrics
from ssrl_brain.trust import check_encoder_folder, read_weights


class Trials(NamedTuple):
    """A trial list over rows of a table.

    ``labels`` (M,) 1 for the same speaker, ``enrol`` and ``test`` (M,) rows.
    """

    labels: np.ndarray
    enrol: np.ndarray
    test: np.ndarray

    def rows(self):
        """Rows that the list names, each once."""
        return np.unique(np.concatenate([self.enrol, self.test]))

    def repeated(self):
        """Trials that stand further up already, in order of the list.

        Example
        -------
        >>> a, b = np.array([5, 5, 5]), np.array([6, 6, 7])
        >>> Trials(np.array([1, 1, 1]), a, b).repeated()
        array([1])
        """
        lines = np.stack([self.labels, self.enrol, self.test], axis=1)
        first = np.unique(lines, axis=0, return_index=True)[1]
        return np.setdiff1d(np.arange(len(lines)), first)


def load_trials(path, table):
    """Reads a trial list whose names are IDs of a table.

    Arguments
    ---------
    path : str
    table : Utterances

    Returns
    -------
    Trials

    Raises
    ------
    ValueError
        Naming the first utterance that the table does not have.
    """
    labels, enrol, test = read_trials(path)
    row_of = {name: row for row, name in enumerate(table.ids)}
    missing = next(
        (name for name in (*enrol, *test) if name not in row_of), None
    )
    if missing is not None:
        raise ValueError(
            f"{path} names {missing}, which is not among the prepared "
            "utterances: prepare again with this list in --trial_lists"
        )
    rows = [np.array([row_of[x] for x in names]) for names in (enrol, test)]
    return Trials(np.asarray(labels), *rows)


def trial_lists(prepared_folder):
    """Paths of the trial lists of a prepared folder, in order of name."""
    return sorted((Path(prepared_folder) / "trials").glob("*.txt"))


def verify(embeddings, trials):
    """Metrics of a list by cosine scores.

    Arguments
    ---------
    embeddings : torch.Tensor
        (N, D) of the whole table.
    trials : Trials

    Returns
    -------
    dict
        "eer" in per cent, "min_dcf_0.05", "min_dcf_0.01".
    """
    scores = score_trials(embeddings, trials.enrol, trials.test)
    return verification_metrics(scores, trials.labels)


def evaluate(scores, labels, sides=None, num_bootstraps=0, **options):
    """Metrics of scored trials, with 95 % intervals.

    Arguments
    ---------
    scores : array_like
        (M,)
    labels : numpy.ndarray
        (M,) 1 for the same speaker, 0 otherwise.
    sides : tuple of numpy.ndarray, optional
        Speakers (M,) of both sides, whose drawing anew makes the intervals.
    num_bootstraps : int
        Draws; 0 leaves the intervals out.
    **options
        Of ``ssrl_brain.intervals.bootstrap``.

    Returns
    -------
    dict
        "eer" in per cent, "min_dcf_0.05", "min_dcf_0.01", and in "intervals"
        [low, high] of each.

    Example
    -------
    >>> evaluate([0.9, 0.3, 0.2, 0.4], np.array([1, 1, 0, 0]))["eer"]
    50.0
    """
    metrics = verification_metrics(scores, labels)
    metrics["intervals"] = {}
    if num_bootstraps:
        drawn = bootstrap(scores, labels, *sides, num_bootstraps, **options)
        metrics["intervals"] = {k: interval(v) for k, v in drawn.items()}
    return metrics


class Validation:
    """Scores a trial list every few epochs of training.

    Arguments
    ---------
    prepared_folder, data_folder : str
    sample_rate : int
    every : int
        Epochs between two validations; the last epoch always has one.
    trial_list : str
        Name of one of the prepared lists; the first by default.

    Example
    -------
    >>> Validation(getfixture("tmp_path"), ".", 16000).trials is None
    True
    """

    def __init__(
        self,
        prepared_folder,
        data_folder,
        sample_rate,
        every=1,
        trial_list=None,
    ):
        self.every = every
        self.data_folder = data_folder
        self.sample_rate = sample_rate
        self.trials = None
        lists = trial_lists(prepared_folder)
        if trial_list:
            lists = [path for path in lists if path.stem == trial_list]
            if not lists:
                raise ValueError(
                    f"{prepared_folder}/trials has no list "
                    f"'{trial_list}.txt': check --trial_list and --trial_lists"
                )
        if lists:
            self.table = Utterances.from_csv(Path(prepared_folder) / "test.csv")
            self.trials = load_trials(lists[0], self.table)

    def is_due(self, epoch, last_epoch):
        """Whether this epoch ends with a validation."""
        return self.trials is not None and (
            epoch % self.every == 0 or epoch == last_epoch
        )

    def __call__(self, encode, device):
        """Metrics of an encoder, see ``verify``."""
        rows = self.trials.rows()
        vectors = embed(
            encode, self.table, self.data_folder, self.sample_rate, device, rows
        )
        embeddings = torch.zeros(len(self.table), vectors.shape[1])
        embeddings[rows] = vectors
        return verify(embeddings, self.trials)


class ExportedEncoder:
    """An encoder folder, read through SpeechBrain's public interface.

    Arguments
    ---------
    folder : str
    device : str
    trusted : bool
        Loads whatever the folder names, without a look at it.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is not an encoder folder, or not a harmless one.
    """

    def __init__(self, folder, device="cpu", trusted=False):
        self.folder = Path(folder)
        if not (self.folder / "hyperparams.yaml").is_file():
            raise FileNotFoundError(
                f"{folder} is not an encoder folder (no hyperparams.yaml): "
                "give the export folder of a stage or a SpeechBrain model"
            )
        if not trusted:
            check_encoder_folder(folder)
        source = str(self.folder.absolute())
        try:
            self.model = SpeakerRecognition.from_hparams(
                source=source,
                overrides=here(self.folder / "hyperparams.yaml", source),
                run_opts={"device": device},
            )
        except RuntimeError as error:  # tensors of other shapes
            raise ValueError(
                f"the weights of {folder} do not fit its hyperparams.yaml: "
                f"export it again ({' '.join(str(error).split())[:200]})"
            ) from error
        self._refuse_missing_weights()
        self.sample_rate = getattr(
            self.model.hparams,
            "sample_rate",
            self.model.audio_normalizer.sample_rate,
        )
        self.device = device

    def _refuse_missing_weights(self):
        """The toolkit only warns, and leaves what is missing at random."""
        path = self.folder / "embedding_model.ckpt"
        if not path.is_file():  # a trusted folder may have it elsewhere
            return
        found = set(read_weights(path))
        expected = set(self.model.mods["embedding_model"].state_dict())
        if found != expected:
            name = min(found ^ expected)
            raise ValueError(
                f"{path} and hyperparams.yaml do not describe the same encoder "
                f"({'only' if name in found else 'not'} the first has "
                f"'{name}'): export it again"
            )

    def fingerprint(self):
        """Changes with the weights or the layers of the encoder."""
        return encoder_fingerprint(self.folder)

    def __call__(self, wave, lengths):
        """wave (B, T), relative lengths (B,) -> (B, D)"""
        return self.model.encode_batch(wave, lengths).squeeze(1)

    def embed(self, table, data_folder, **options):
        """(N, D) embeddings of a table; options as of ``embed``."""
        return embed(
            self, table, data_folder, self.sample_rate, self.device, **options
        )


def here(yaml, folder):
    """Overrides with which a published model loads from its folder.

    Models of the hub name the place that they were published at, and would
    be fetched from there.
    """
    keys = YAML().load(Path(yaml))
    return {"pretrained_path": folder} if "pretrained_path" in keys else {}


def encoder_fingerprint(folder):
    """Digest of what decides about the embeddings of an encoder folder.

    Arguments
    ---------
    folder : str or Path

    Returns
    -------
    str
        The same for a copy elsewhere.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.name == "hyperparams.yaml" or path.suffix == ".ckpt":
            digest.update(path.name.encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
