#!/usr/bin/env python3
"""Can a classifier at the cluster means tell right from wrong labels?

    python benchmarks/label_noise.py --prepared_folder=results/prepared \\
        --label_folder=results/labels

Prints how many labels are wrong, how many of those are alone of their speaker
in their cluster, and ``loss_auc``, the share of pairs of a right and a wrong
label in which the wrong one has the larger loss: once with each utterance in
the mean of its own cluster, as a stage finds it that begins with the centroids
as its classifier, and once with the utterance left out of that mean. The loss
is the cross-entropy of cosines times 32. ``--embeddings`` takes those of
another encoder than the one that the labels were made with.
"""

import argparse
import sys
from collections import Counter

import numpy as np
import torch
from common import report
from corrupted_labels import class_means, known_corpus
from sklearn.metrics import roc_auc_score

from ssrl_brain.evaluation.label_metrics import right_labels
from ssrl_brain.handover.label_folder import read_embeddings, read_pseudo_labels

SCALE = 32


def loss_auc(embeddings, labels, right, leave_out):
    """Between 0 and 1; utterances alone in a cluster are not left out of it."""
    means, unit = class_means(embeddings, labels)
    cosines = unit @ means.T
    if leave_out:
        sums = np.zeros_like(means)
        np.add.at(sums, labels, unit)
        others = sums[labels] - unit
        length = np.linalg.norm(others, axis=1)
        own = (others * unit).sum(1) / np.maximum(length, 1e-9)
        rows = np.flatnonzero(length > 1e-6)
        cosines[rows, labels[rows]] = own[rows]
    loss = torch.nn.functional.cross_entropy(
        torch.from_numpy(SCALE * cosines),
        torch.from_numpy(labels),
        reduction="none",
    )
    return round(float(roc_auc_score(~right, loss)), 3)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared_folder", required=True)
    parser.add_argument("--label_folder", required=True)
    parser.add_argument("--embeddings", help="(N, D) .npy")
    options = parser.parse_args()
    table, speakers = known_corpus(options.prepared_folder)
    labels = read_pseudo_labels(options.label_folder, table).labels
    labels = np.unique(labels, return_inverse=True)[1]  # none is empty
    right = right_labels(labels, speakers, labels)[0]
    if right.all():
        sys.exit("error: no label is wrong")
    if options.embeddings:
        embeddings = np.load(options.embeddings, allow_pickle=False)
    else:
        embeddings = read_embeddings(options.label_folder)
    pairs = list(zip(labels.tolist(), speakers.tolist(), strict=True))
    together = Counter(pairs)
    alone = np.array([together[pair] == 1 for pair in pairs])
    report(
        "label_noise",
        utterances_per_cluster=round(len(labels) / len(set(labels)), 1),
        wrong=round(float((~right).mean()), 3),
        alone_of_wrong=round(float(alone[~right].mean()), 3),
        loss_auc=loss_auc(embeddings, labels, right, leave_out=False),
        loss_auc_left_out=loss_auc(embeddings, labels, right, leave_out=True),
    )


if __name__ == "__main__":
    main()
