"""What own data without labels would have got, once the speakers are opened.

    python benchmarks/own_data_truth.py results/mine/ssrl/clusters speakers.csv

Evaluation only: a label folder with its embeddings, and a file of ID,speaker
that no training has seen. Prints one line of JSON: how many speakers there
are beside how many were suggested, what the clusters are worth, the equal
error rate over all pairs of utterances, and how good the threshold of the
clusters is.
"""

import json

import numpy as np

from ssrl_brain.clustering.suggest import suggest_num_clusters
from ssrl_brain.evaluation.label_metrics import label_quality
from ssrl_brain.evaluation.metrics import eer
from ssrl_brain.evaluation.pseudo_trials import threshold_of_clusters
from ssrl_brain.evaluation.speakers import read_speakers
from ssrl_brain.handover.label_folder import read_embeddings
from ssrl_brain.report.tables import read_labels
from ssrl_brain.system.process import run


def truth(folder, speakers_csv):
    """Figures of a label folder by true speakers.

    Arguments
    ---------
    folder, speakers_csv : str

    Returns
    -------
    dict
    """
    ids, labels, _, _ = read_labels(folder)
    speakers = read_speakers(speakers_csv, ids)
    embeddings = read_embeddings(folder)
    sizes = np.bincount(speakers)
    shares = sizes / len(speakers)
    found = suggest_num_clusters(embeddings)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), 1)
    scores = (unit @ unit.T)[first, second]
    same = speakers[first] == speakers[second]
    rate, best = eer(scores[same], scores[~same])
    threshold = threshold_of_clusters(embeddings, labels)
    return {
        "utterances": len(ids),
        "speakers": len(sizes),
        "effective_speakers": round(float(1 / (shares**2).sum()), 1),
        "suggested_speakers": found.speakers,
        "suggested_clusters": found.num_clusters,
        **label_quality(labels, speakers),
        "eer_of_pairs": 100 * rate,
        "best_threshold": best,
        "threshold": threshold,
        "misses": 100 * float((scores[same] <= threshold).mean()),
        "false_alarms": 100 * float((scores[~same] > threshold).mean()),
    }


def main(arguments):
    """Prints the figures of the folder that the arguments name."""
    if len(arguments) != 2:
        raise ValueError("give a label folder and a file of ID,speaker")
    print(json.dumps(truth(*arguments)), flush=True)


if __name__ == "__main__":
    run(main)
