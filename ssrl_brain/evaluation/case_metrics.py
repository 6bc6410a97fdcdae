"""What a joint gate did, and whether it was right (DLG-LC, IV-C)."""

import numpy as np

from ssrl_brain.evaluation.label_metrics import right_labels
from ssrl_brain.evaluation.speakers import GateMetrics
from ssrl_brain.losses.audio_visual import AGREED, CORRECTED, DROPPED, PASSED

MODALITIES = ("audio", "visual")


class CaseMetrics(GateMetrics):
    """Shares of all cases, and of right labels among them.

    Right is a label as for ``GateMetrics``.

    Arguments
    ---------
    prepared_folder : str

    Example
    -------
    >>> (getfixture("tmp_path") / "speakers.csv").write_text(
    ...     "ID,speaker\\na,x\\nb,x\\nc,y\\nd,y\\n"
    ... )
    27
    >>> from ssrl_brain.data.utterances import Utterances
    >>> table = Utterances("abcd", "abcd", [1] * 4, [1] * 4, [0] * 4)
    >>> labels = np.array([0, 0, 0, 1])
    >>> predictions = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    >>> cases = np.array([[1, 1], [3, 0], [2, 2], [1, 1]])
    >>> below = cases == 1
    >>> found = CaseMetrics(getfixture("tmp_path"))(
    ...     table, labels, predictions, cases, below
    ... )
    >>> found["passed"], found["dropped_visual"], found["right_agreed"]
    (0.5, 0.25, 1.0)
    """

    def __call__(self, table, labels, predictions, cases, below_gate):
        """What to log of an epoch.

        Arguments
        ---------
        table : Utterances
        labels : numpy.ndarray
            (N,) pseudo labels.
        predictions, cases, below_gate : numpy.ndarray
            (N, 2) predicted classes, positions in ``CASES``, and whether the
            loss is below the modality's own gate.

        Returns
        -------
        dict
            Shares of all utterances: ``passed``, ``agreed`` (the same in both
            modalities), ``corrected_audio``, ``dropped_audio``,
            ``below_gate_audio`` (what its gate alone would let through), and
            so for ``_visual``. Where speakers are known, beside each of them
            ``right_...``: the share of right labels among these, after
            ``agreed`` and ``corrected`` of the new ones, with
            ``right_before_...``; ``right`` of all labels; ``right_recall``,
            the share of right labels that passed. None where there is nothing
            to count.
        """
        groups = {
            "passed": cases[:, 0] == PASSED,
            "agreed": cases[:, 0] == AGREED,
        }
        predicted = {"agreed": predictions[:, 0]}
        for number, name in enumerate(MODALITIES):
            case = cases[:, number]
            groups[f"corrected_{name}"] = case == CORRECTED
            groups[f"dropped_{name}"] = case == DROPPED
            groups[f"below_gate_{name}"] = below_gate[:, number]
            predicted[f"corrected_{name}"] = predictions[:, number]
        record = {name: float(rows.mean()) for name, rows in groups.items()}
        speakers = self.known.of(table)
        if speakers is None:
            return record
        right = self.right(table, labels)
        for name, rows in groups.items():
            values = right
            if name in predicted:
                record[f"right_before_{name}"] = _share(right, rows)
                values = right_labels(labels, speakers, predicted[name])[1]
            record[f"right_{name}"] = _share(values, rows)
        record["right"] = float(right.mean())
        record["right_recall"] = _share(groups["passed"], right)
        return record


def _share(values, rows):
    """Mean of the values (N,) of some rows, None where there are none."""
    return float(np.mean(values[rows])) if rows.any() else None
