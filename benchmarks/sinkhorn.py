#!/usr/bin/env python3
"""Time and memory of labelling one collection by optimal transport.

    OMP_NUM_THREADS=2 python benchmarks/sinkhorn.py --utterances=24000

Batches of random posteriors, each sure of one of K clusters of very different
sizes, go through `SinkhornAssignment` until it labels them; peak memory is
that of the whole process. A single iteration, with the arg max, is timed as
well, for how many are needed depends on the posteriors.
"""

import argparse
import math
import time

import torch
from common import report

from ssrl_brain.clustering.online import SinkhornAssignment
from ssrl_brain.clustering.sinkhorn import sinkhorn_labels


def log_posteriors(num, clusters, generator):
    """(num, K); large clusters are drawn more often than small ones."""
    logits = torch.randn(num, clusters, generator=generator)
    uniform = torch.rand(num, generator=generator)
    own = (uniform**2 * clusters).long()
    logits[torch.arange(num), own] += 12
    return logits.log_softmax(1)


def wait(device):
    """Until the device has done what it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=24000)
    parser.add_argument("--clusters", type=int, default=8000)
    parser.add_argument("--batch_size", type=int, default=480)
    parser.add_argument("--sharpness", type=float, default=10.0)
    parser.add_argument("--max_iters", type=int, default=200)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    num, clusters = options.utterances, options.clusters
    generator = torch.Generator().manual_seed(0)
    assign = SinkhornAssignment(
        options.sharpness, num / clusters / 2, max_iters=options.max_iters
    ).to(options.device)
    few = log_posteriors(64, clusters, generator).to(options.device)
    sinkhorn_labels(few.exp(), options.sharpness, tol=math.inf)  # warms up
    wait(options.device)
    collecting = 0.0
    for start in range(0, num, options.batch_size):
        size = min(options.batch_size, num - start)
        log_probs = log_posteriors(size, clusters, generator)
        index = torch.arange(start, start + size, device=options.device)
        log_probs = log_probs.to(options.device)
        rest = num - start - size
        started = time.perf_counter()
        ready, labels, _ = assign(index, log_probs, rest)
        wait(options.device)
        if rest:
            collecting += time.perf_counter() - started
            assert len(ready) == 0, "labelled before all was collected"
    labelling = time.perf_counter() - started
    probs = log_posteriors(num // 8, clusters, generator).exp_().half()
    probs = probs.to(options.device)
    started = time.perf_counter()
    sinkhorn_labels(probs, options.sharpness, tol=math.inf)
    wait(options.device)
    iteration = 8 * (time.perf_counter() - started)
    report(
        "sinkhorn",
        utterances=num,
        clusters=clusters,
        sharpness=options.sharpness,
        seconds_collecting=round(collecting, 2),
        seconds_labelling=round(labelling, 2),
        seconds_an_iteration=round(iteration, 2),
        clusters_used=len(labels.unique()),
        largest_cluster=int(labels.bincount().max()),
    )


if __name__ == "__main__":
    main()
