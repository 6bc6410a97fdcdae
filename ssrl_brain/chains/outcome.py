"""What a chain leaves in the hands of its user: a model, clusters, a threshold.

``outcome.json`` and ``clusters.csv`` of the output folder, and a few lines of
text that say how to go on.
"""

import csv
import io

import numpy as np

from ssrl_brain.data.shards import shown
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.pseudo_trials import threshold_of_clusters
from ssrl_brain.handover.label_folder import read_embeddings, read_pseudo_labels
from ssrl_brain.system.files import write_json, write_text

MODEL = """
The model: {model}, which SpeechBrain loads without this package.
Are two files of one speaker?

    from speechbrain.inference.speaker import SpeakerRecognition
    model = SpeakerRecognition.from_hparams(source="{model}")
    score, _ = model.verify_files("one.wav", "two.wav")
    print(score.item() > {threshold})
"""
GUESSED = """
{threshold:.2f} tells the clusters apart; nobody has checked it. A list of pairs
that you know gives a better one: `verify.py --calibrate=True` (docs/use.md).
"""
CLUSTERS = """
The clusters: {clusters}, file by file, the largest cluster first and its
surest files on top.
"""


def write_outcome(output, step, table_csv):
    """Writes both files about the last step of a chain.

    Arguments
    ---------
    output : Path
        Output folder of the chain.
    step : Path
        Output folder of the step.
    table_csv : str
        Utterances that its clusters are of.

    Returns
    -------
    str
        What to tell the user.
    """
    found = {"model": str(step / "export")}
    if (step / "clusters" / "embeddings.npy").is_file():
        table = Utterances.from_csv(table_csv)
        labels = read_pseudo_labels(step / "clusters", table)
        found["clusters"] = str(output / "clusters.csv")
        write_text(found["clusters"], cluster_table(table, labels))
        found["threshold"] = threshold_of_clusters(
            read_embeddings(step / "clusters"), labels.labels
        )
    write_json(output / "outcome.json", found)
    return describe(found)


def cluster_table(table, labels):
    """CSV text of file, cluster and distance to its centre.

    Arguments
    ---------
    table : Utterances
    labels : PseudoLabels

    Returns
    -------
    str

    Example
    -------
    >>> from ssrl_brain.handover.label_folder import PseudoLabels
    >>> table = Utterances("abc", ["a.wav", "b.wav", "c.wav"], *[[1] * 3] * 3)
    >>> labels = PseudoLabels(
    ...     np.array([0, 2, 2]),
    ...     np.float32([0, 0.5, 0.25]),
    ...     np.ones(3, bool),
    ...     np.eye(3),
    ...     {},
    ... )
    >>> print(cluster_table(table, labels), end="")
    file,cluster,distance
    c.wav,2,0.25
    b.wav,2,0.5
    a.wav,0,0
    """
    sizes = np.bincount(labels.labels)
    order = np.lexsort((labels.distances, labels.labels, -sizes[labels.labels]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "cluster", "distance"])
    writer.writerows(
        (
            shown(table.paths[int(row)]),
            int(labels.labels[row]),
            f"{labels.distances[row]:.4g}",
        )
        for row in order
    )
    return text.getvalue()


def describe(found):
    """Text about an ``outcome.json``.

    Example
    -------
    >>> "clusters" in describe({"model": "results/dino/export"})
    False
    """
    threshold = found.get("threshold")
    shown = "THRESHOLD" if threshold is None else f"{threshold:.2f}"
    text = MODEL.format(model=found["model"], threshold=shown)
    if threshold is not None:
        text += GUESSED.format(threshold=threshold)
    if "clusters" in found:
        text += CLUSTERS.format(clusters=found["clusters"])
    return text
