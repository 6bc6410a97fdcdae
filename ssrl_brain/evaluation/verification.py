"""Trial lists over embeddings, and the error rates that come of them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssrl_brain.data.trials import lacking, read_trials
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.embed import embed
from ssrl_brain.evaluation.intervals import bootstrap, interval
from ssrl_brain.evaluation.metrics import score_trials, verification_metrics


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

    def of_rows(self, rows):
        """The same trials over some rows of the table, sorted, by themselves.

        Example
        -------
        >>> trials = Trials(np.array([1]), np.array([7]), np.array([3]))
        >>> trials.of_rows(trials.rows())
        Trials(labels=array([1]), enrol=array([1]), test=array([0]))
        """
        sides = (np.searchsorted(rows, x) for x in (self.enrol, self.test))
        return Trials(self.labels, *sides)

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
        Of ``ssrl_brain.evaluation.intervals.bootstrap``.

    Returns
    -------
    dict
        "eer" in per cent, "min_dcf_0.05", "min_dcf_0.01", and in "intervals"
        [low, high] of each. Where no error rate can come of the list,
        "lacks" says which trials are not there, instead of the figures.

    Example
    -------
    >>> evaluate([0.9, 0.3, 0.2, 0.4], np.array([1, 1, 0, 0]))["eer"]
    50.0
    >>> evaluate([0.9, 0.3], np.array([1, 1]))["lacks"]
    'trials of different speakers'
    """
    if found := lacking(labels):
        return {"lacks": found, "intervals": {}}
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
        Name of one of the prepared lists; by default the first that error
        rates can come of.
    **batches
        How utterances are read and batched, options of
        ``ssrl_brain.evaluation.embed.embed``.

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
        **batches,
    ):
        self.every = every
        self.batches = batches
        self.data_folder = data_folder
        self.sample_rate = sample_rate
        self.trials = None
        lists = trial_lists(prepared_folder)
        if trial_list:
            lists = [path for path in lists if path.stem == trial_list]
            if not lists:
                raise ValueError(
                    f"{prepared_folder}/trials has no list "
                    f"'{trial_list}.txt': check --valid_list and --trial_lists"
                )
        if lists:
            self.table = Utterances.from_csv(Path(prepared_folder) / "test.csv")
        for path in lists:
            trials = load_trials(path, self.table)
            found = lacking(trials.labels)
            if found is None:
                self.trials = trials
                break
            if trial_list:
                raise ValueError(f"--valid_list={trial_list} has no {found}")

    def is_due(self, epoch, last_epoch):
        """Whether this epoch ends with a validation."""
        return self.trials is not None and (
            epoch % self.every == 0 or epoch == last_epoch
        )

    def __call__(self, encode, device):
        """Metrics of an encoder, see ``verify``."""
        rows = self.trials.rows()
        vectors = embed(
            encode,
            self.table,
            self.data_folder,
            self.sample_rate,
            device,
            rows,
            **self.batches,
        )
        return verify(vectors, self.trials.of_rows(rows))
