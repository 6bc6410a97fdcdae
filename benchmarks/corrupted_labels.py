#!/usr/bin/env python3
"""A label folder of true speakers, of which a share is replaced at random.

    python benchmarks/corrupted_labels.py --prepared_folder=results/mini/prepared \\
        --embeddings=results/mini/contrastive/clusters/embeddings.npy \\
        --share=0.4 --label_folder=results/corrupted40

For measuring loss gates, whose task is to find those wrong labels. A wrong
label is any other speaker, equally likely. Centroids are means of the
embeddings with the corrupted labels, as a clustering would have them.
"""

import argparse
import sys

import numpy as np

from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.speakers import read_speakers
from ssrl_brain.handover.label_folder import write_pseudo_labels


def known_corpus(prepared_folder, name="train"):
    """A table, "train" or "test", and its true speakers (N,), or the end."""
    table = Utterances.from_csv(f"{prepared_folder}/{name}.csv")
    speakers = read_speakers(f"{prepared_folder}/speakers.csv", table.ids)
    if speakers is None:
        sys.exit("error: speakers are not known")
    return table, np.asarray(speakers)


def corrupt(speakers, share, seed):
    """(N,) labels of which round(share * N) differ from ``speakers``."""
    generator = np.random.default_rng(seed)
    num_speakers = speakers.max() + 1
    chosen = generator.permutation(len(speakers))[
        : round(share * len(speakers))
    ]
    labels = speakers.copy()
    shift = generator.integers(1, num_speakers, len(chosen))
    labels[chosen] = (labels[chosen] + shift) % num_speakers
    return labels


def class_means(embeddings, labels):
    """(K, D) of length one."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = np.zeros((labels.max() + 1, unit.shape[1]))
    np.add.at(means, labels, unit)
    return means / np.linalg.norm(means, axis=1, keepdims=True), unit


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prepared_folder", required=True)
    parser.add_argument("--embeddings", required=True, help="(N, D) .npy")
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--label_folder", required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table, speakers = known_corpus(options.prepared_folder)
    labels = corrupt(speakers, options.share, options.seed)
    embeddings = np.load(options.embeddings, allow_pickle=False)
    centroids, unit = class_means(embeddings, labels)
    distances = 1 - (unit * centroids[labels]).sum(1)
    write_pseudo_labels(
        options.label_folder,
        table,
        Clusters(labels, centroids, distances),
        embeddings=embeddings,
        source={"corrupted": options.share, "seed": options.seed},
    )
    print(f"{len(centroids)} labels, {(labels != speakers).mean():.1%} wrong")


if __name__ == "__main__":
    main()
