#!/usr/bin/env python3
"""Nearest centroids, exactly and by faiss's approximate indices.

    OMP_NUM_THREADS=1 python benchmarks/assignment.py --clusters=8000,64000

One round of k-means is the index over K centroids, then a search for each of N
utterances. Printed are seconds of the index, microseconds of an utterance,
how often the nearest centroid is found (recall), and how much of the cosine
is lost where it is not.

Embeddings are made up: speakers in 100 directions of falling width, and
utterances whose cosine with their speaker is about 0.8. Centroids are either
single utterances, as in the first round, or means of ten, as in the last.

    OMP_NUM_THREADS=1 python benchmarks/assignment.py --kmeans=4000

Instead, whole k-means of 50 utterances a cluster with each index, and the NMI
of its clusters with the speakers.
"""

import argparse
import time

import faiss
import numpy as np
from common import report
from sklearn.metrics import normalized_mutual_info_score

DIRECTIONS = 100
INDICES = {"Flat": "", "IVF256,Flat": "nprobe=16", "HNSW32": "efSearch=16"}


def speakers_of(generator, number, dim):
    """(number, dim) directions of speakers, of length 1."""
    widths = 1 / np.sqrt(1 + np.arange(DIRECTIONS) / 10)
    inner = generator.standard_normal((number, DIRECTIONS)) * widths
    basis = np.linalg.qr(generator.standard_normal((dim, DIRECTIONS)))[0]
    return unit(inner @ basis.T)


def utterances_of(generator, speakers, each=1):
    """Means of ``each`` utterances for each of (n, dim) speakers."""
    # cosine 0.8 with the speaker: noise of length 0.75
    noise = generator.standard_normal(speakers.shape, dtype=np.float32)
    return unit(speakers + noise * 0.75 / np.sqrt(each * speakers.shape[1]))


def unit(x):
    """Rows of length 1, float32."""
    return np.float32(x / np.linalg.norm(x, axis=1, keepdims=True))


def make_index(name, dim):
    """An empty index with its options set."""
    index = faiss.index_factory(dim, name, faiss.METRIC_INNER_PRODUCT)
    faiss.ParameterSpace().set_index_parameters(index, INDICES[name])
    return index


def report_assignment(num_utterances, num_clusters, dim):
    """Each index, for centroids of the first and of the last round."""
    generator = np.random.default_rng(0)
    speakers = speakers_of(generator, num_clusters, dim)
    own = generator.integers(0, num_clusters, num_utterances)
    utterances = utterances_of(generator, speakers[own])
    for each in (1, 10):
        centroids = utterances_of(generator, speakers, each)
        exact = None
        for name in INDICES:
            started = time.process_time()
            index = make_index(name, dim)
            index.train(centroids)
            index.add(centroids)
            built = time.process_time() - started
            started = time.process_time()
            cosines, found = (x[:, 0] for x in index.search(utterances, 1))
            searched = time.process_time() - started
            if exact is None:
                exact = cosines, found
            lost = exact[0] - cosines
            report(
                "assignment",
                index=name,
                options=INDICES[name],
                utterances=num_utterances,
                clusters=num_clusters,
                dim=dim,
                utterances_a_centroid=each,
                cpu_seconds_index=round(built, 2),
                cpu_us_an_utterance=round(1e6 * searched / num_utterances, 1),
                gflop_a_second=round(
                    2e-9 * num_utterances * num_clusters * dim / searched, 1
                ),
                recall=round(float((found == exact[1]).mean()), 4),
                cosine_lost=round(float(lost.mean()), 5),
            )


def report_kmeans(num_clusters, dim, num_iters):
    """Whole clusterings."""
    generator = np.random.default_rng(0)
    speakers = speakers_of(generator, num_clusters, dim)
    own = np.arange(num_clusters).repeat(50)
    utterances = utterances_of(generator, speakers[own])
    for name in INDICES:
        started = time.process_time()
        algorithm = faiss.Kmeans(
            dim, num_clusters, niter=num_iters, spherical=True, seed=1986
        )
        algorithm.index = make_index(name, dim)
        algorithm.train(utterances)
        cosines, labels = algorithm.assign(utterances)
        report(
            "kmeans",
            index=name,
            utterances=len(own),
            clusters=num_clusters,
            dim=dim,
            rounds=num_iters,
            cpu_seconds=round(time.process_time() - started, 1),
            nmi=round(normalized_mutual_info_score(own, labels), 4),
            cosine=round(float(cosines.mean()), 4),
        )


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=10_000)
    parser.add_argument("--clusters", default="8000,16000,32000,64000")
    parser.add_argument("--dims", default="192,512")
    parser.add_argument("--kmeans", type=int, help="number of clusters")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    for dim in map(int, options.dims.split(",")):
        if options.kmeans:
            report_kmeans(options.kmeans, dim, options.rounds)
            continue
        for number in map(int, options.clusters.split(",")):
            report_assignment(options.utterances, number, dim)


if __name__ == "__main__":
    main()
