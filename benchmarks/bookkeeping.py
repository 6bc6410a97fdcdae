#!/usr/bin/env python3
"""Time of what happens between epochs and rounds, at VoxCeleb2's size.

    OMP_NUM_THREADS=2 python benchmarks/bookkeeping.py

The mixture of two Gaussians over all log losses, the gate's metrics,
purification, and the means of all clusters. No corpus is needed.
"""

import argparse
import statistics

import numpy as np
import torch
from common import report, seconds_each

from ssrl_brain.clustering.kmeans import Clusters, session_means
from ssrl_brain.clustering.purify import purify
from ssrl_brain.metrics import right_labels
from ssrl_brain.noisy_labels.gmm import fit_two_gaussians, loss_gate


def tasks(num_utterances, num_clusters, num_speakers, dim):
    """Name -> what is to be timed, on random data."""
    generator = np.random.default_rng(0)
    torch_generator = torch.Generator().manual_seed(0)
    log_loss = torch.randn(num_utterances, generator=torch_generator)
    log_loss[: num_utterances // 3] += 2  # modes that overlap fit slowly
    labels = generator.integers(0, num_clusters, num_utterances)
    predictions = generator.permutation(labels)
    speakers = generator.integers(0, num_speakers, num_utterances)
    distances = generator.random(num_utterances, dtype=np.float32)
    embeddings = generator.random((num_utterances, dim), dtype=np.float32)
    clusters = Clusters(labels, None, distances)
    return {
        "mixture": lambda: loss_gate(fit_two_gaussians(log_loss)),
        "gate_metrics": lambda: right_labels(labels, speakers, predictions),
        "purify": lambda: purify(clusters, 0.4, 10),
        "cluster_means": lambda: session_means(embeddings, labels),
    }


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=1_100_000)
    parser.add_argument("--clusters", type=int, default=8000)
    parser.add_argument("--speakers", type=int, default=5994)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    sizes = (options.utterances, options.clusters, options.speakers)
    for name, function in tasks(*sizes, options.dim).items():
        times = seconds_each(function, warmup=1, repeats=options.repeats)
        report(
            name,
            utterances=options.utterances,
            clusters=options.clusters,
            dim=options.dim,
            seconds=round(statistics.median(times), 3),
            seconds_min=round(min(times), 3),
        )


if __name__ == "__main__":
    main()
