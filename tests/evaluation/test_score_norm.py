"""Score normalisation against a slow transcription of its definition."""

import numpy as np
import pytest
import torch

from ssrl_brain.evaluation.score_norm import (
    adaptive_s_norm,
    cohort_means,
    cohort_statistics,
)


@pytest.mark.parametrize("top", [2, 5, 99])
def test_normalised_scores_trial_by_trial(top):
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((6, 4)).astype(np.float32)
    cohort = rng.standard_normal((9, 4))
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    trials = [(0, 1), (2, 5), (5, 2), (3, 3)]

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    expected, scores = [], []
    for pair in trials:
        score = cosine(*(embeddings[row] for row in pair))
        parts = []
        for row in pair:
            nearest = sorted(cosine(embeddings[row], c) for c in cohort)[-top:]
            parts.append((score - np.mean(nearest)) / np.std(nearest))
        scores.append(score)
        expected.append(np.mean(parts))
    statistics = cohort_statistics(
        torch.tensor(embeddings),
        range(6),
        torch.tensor(cohort).float(),
        top,
        chunk_size=4,
    )
    enrol, test = (statistics[list(side)] for side in zip(*trials, strict=True))
    found = adaptive_s_norm(torch.tensor(scores), enrol, test)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_cohort_has_a_member_for_every_label_that_keeps_some():
    embeddings = np.array([[3, 0], [0, 1], [-1, 0], [9, 9]], np.float32)
    labels, keep = np.array([2, 2, 8, 5]), np.array([1, 1, 1, 0], bool)
    root = 0.5**0.5
    torch.testing.assert_close(
        cohort_means(embeddings, labels, keep),
        torch.tensor([[root, root], [-1.0, 0.0]]),
    )


def test_useless_cohorts_are_refused():
    embeddings = torch.eye(3)
    with pytest.raises(ValueError, match="two cohort members, not 1"):
        cohort_statistics(embeddings, [0], embeddings[:1], top=300)
    with pytest.raises(ValueError, match="same against the whole cohort"):
        cohort_statistics(embeddings, [2], embeddings[:2], top=300)
