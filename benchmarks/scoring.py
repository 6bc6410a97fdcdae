#!/usr/bin/env python3
"""Time of scoring trial lists, at the size of VoxCeleb1-E and -H.

    OMP_NUM_THREADS=2 python benchmarks/scoring.py

Cosines, error rates, intervals and score normalisation of 600,000 trials over
150,000 utterances. No corpus is needed.
"""

import argparse
import statistics

import numpy as np
import torch
from common import report, seconds_each

from ssrl_brain.evaluation.intervals import bootstrap
from ssrl_brain.evaluation.metrics import score_trials, verification_metrics
from ssrl_brain.evaluation.score_norm import adaptive_s_norm, cohort_statistics


def tasks(options):
    """Name -> what is to be timed, on random data; half are one speaker's."""
    generator = np.random.default_rng(0)
    per_speaker = options.utterances // options.speakers
    speakers = np.repeat(np.arange(options.speakers), per_speaker)
    centres = generator.standard_normal((options.speakers, options.dim))
    embeddings = centres[speakers] + 3 * generator.standard_normal(
        (len(speakers), options.dim)
    )
    embeddings = torch.from_numpy(embeddings).float()
    enrol, test = generator.integers(0, len(speakers), (2, options.trials))
    half = options.trials // 2
    others = generator.integers(0, per_speaker, half)
    test[:half] = enrol[:half] // per_speaker * per_speaker + others
    labels = (speakers[enrol] == speakers[test]).astype(np.int64)
    scores = score_trials(embeddings, enrol, test)
    cohort = torch.nn.functional.normalize(
        torch.randn(options.cohort, options.dim), dim=1
    )

    def normalise():
        found = cohort_statistics(embeddings, range(len(speakers)), cohort, 300)
        return adaptive_s_norm(scores, found[enrol], found[test])

    return {
        "scores": lambda: score_trials(embeddings, enrol, test),
        "error_rates": lambda: verification_metrics(scores, labels),
        "intervals": lambda: bootstrap(
            scores, labels, speakers[enrol], speakers[test], options.bootstraps
        ),
        "score_normalisation": normalise,
    }


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=600_000)
    parser.add_argument("--utterances", type=int, default=150_000)
    parser.add_argument("--speakers", type=int, default=1250)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--cohort", type=int, default=8000)
    parser.add_argument("--bootstraps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    for name, function in tasks(options).items():
        times = seconds_each(function, warmup=0, repeats=options.repeats)
        report(
            name,
            **{k: v for k, v in vars(options).items() if k != "repeats"},
            seconds=round(statistics.median(times), 3),
        )


if __name__ == "__main__":
    main()
