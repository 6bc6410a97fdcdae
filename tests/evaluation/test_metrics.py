"""Metrics against hand counts, slow transcriptions and other libraries."""

import itertools
import json
import time
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from speechbrain.utils.metric_stats import EER, minDCF

from ssrl_brain.evaluation import label_metrics, metrics

SIZES = st.sampled_from([1, 2, 4, 8, 16])  # rates exact even in float32
# multiples of 1/8: many ties, exact in float32
SCORE = st.integers(-8, 8).map(lambda n: n / 8)


@st.composite
def score_lists(draw, sizes=SIZES):
    return [
        draw(st.lists(SCORE, min_size=size, max_size=size))
        for size in (draw(sizes), draw(sizes))
    ]


def eer_by_counting(positive, negative):
    """Every score as threshold, rates as fractions."""
    best = None
    for threshold in sorted({*positive, *negative}):
        miss = Fraction(sum(s <= threshold for s in positive), len(positive))
        alarm = Fraction(sum(s > threshold for s in negative), len(negative))
        if best is None or abs(alarm - miss) < best[0]:
            best = abs(alarm - miss), (alarm + miss) / 2, threshold
    return float(best[1]), best[2]


def min_dcf_by_counting(positive, negative, p_target, c_miss, c_fa):
    """Every score and accepting all as threshold."""
    costs = []
    for threshold in [-np.inf, *positive, *negative]:
        miss = sum(s <= threshold for s in positive) / len(positive)
        alarm = sum(s > threshold for s in negative) / len(negative)
        costs.append(c_miss * p_target * miss + c_fa * (1 - p_target) * alarm)
    return min(costs) / min(c_miss * p_target, c_fa * (1 - p_target))


@settings(max_examples=60, deadline=None)
@given(score_lists())
def test_eer_is_the_one_of_the_toolkit(scores):
    positive, negative = scores
    expected = EER(torch.tensor(positive), torch.tensor(negative))
    assert metrics.eer(positive, negative) == expected


@settings(max_examples=60, deadline=None)
@given(score_lists(st.integers(1, 12)))
def test_eer_is_the_one_counted_by_hand(scores):
    expected, threshold = eer_by_counting(*scores)
    ours, at = metrics.eer(*scores)
    assert (abs(ours - expected) < 1e-12, at) == (True, threshold)


@pytest.mark.parametrize(
    "positive, negative, expected",
    [
        ([1.0], [0.0], 0.0),
        ([0.0], [1.0], 1.0),
        ([0.5, 0.5], [0.5, 0.5, 0.5], 0.5),
        ([0.2, 0.8], [0.1, 0.5], 0.5),
    ],
)
def test_eer_at_its_edges(positive, negative, expected):
    assert metrics.eer(positive, negative)[0] == expected


@settings(max_examples=60, deadline=None)
@given(score_lists(), st.sampled_from([1 / 4, 1 / 16, 1 / 2]))
def test_min_dcf_is_the_normalised_one_of_the_toolkit(scores, p_target):
    positive, negative = scores
    raw, threshold = minDCF(
        torch.tensor(positive), torch.tensor(negative), p_target=p_target
    )
    ours = metrics.min_dcf(positive, negative, p_target)
    assert ours[0] == pytest.approx(raw / p_target, abs=1e-12)
    # accepting all costs as much as rejecting all where p_target is 1/2
    assert ours[1] in (threshold, -np.inf)


@settings(max_examples=60, deadline=None)
@given(
    score_lists(st.integers(1, 12)),
    st.sampled_from([0.05, 0.01, 0.5, 0.9]),
    st.sampled_from([(1, 1), (10, 1), (1, 3)]),
)
def test_min_dcf_is_the_one_counted_by_hand(scores, p_target, costs):
    ours, threshold = metrics.min_dcf(*scores, p_target, *costs)
    expected = min_dcf_by_counting(*scores, p_target, *costs)
    assert ours == pytest.approx(expected, abs=1e-12)
    assert 0 <= ours <= 1 + 1e-12


def test_min_dcf_at_the_priors_of_the_papers_follows_the_toolkit():
    generator = torch.Generator().manual_seed(3)
    positive = torch.randn(60, generator=generator) + 2
    negative = torch.randn(90, generator=generator)
    for p_target in (0.05, 0.01):
        raw, _ = minDCF(positive, negative, p_target=p_target)
        ours, _ = metrics.min_dcf(positive, negative, p_target)
        assert ours == pytest.approx(raw / p_target, rel=1e-5)


def test_min_dcf_may_accept_all():
    # a target nearly always, and the scores are of no use
    assert metrics.min_dcf([0.0], [1.0], p_target=0.9) == (1.0, -np.inf)


@settings(max_examples=20, deadline=None)
@given(score_lists())
def test_errors_only_depend_on_the_order_of_scores(scores):
    positive, negative = (np.array(side) for side in scores)
    stretched = np.exp(3 * positive) - 5, np.exp(3 * negative) - 5
    assert metrics.eer(*stretched)[0] == metrics.eer(positive, negative)[0]
    assert (
        metrics.min_dcf(*stretched, 0.05)[0]
        == metrics.min_dcf(positive, negative, 0.05)[0]
    )


def test_errors_of_a_long_list_take_no_time():
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(2, 1, 150_000), rng.normal(0, 1, 150_000)
    start = time.perf_counter()
    rate, threshold = metrics.eer(positive, negative)
    metrics.min_dcf(positive, negative, 0.05)
    assert time.perf_counter() - start < 10  # all pairs would take hours
    assert rate == pytest.approx(0.1587, abs=0.003)  # Phi(-1)
    assert threshold == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("function", [metrics.eer, metrics.min_dcf])
@pytest.mark.parametrize(
    "positive, negative, message",
    [
        ([], [0.1], "no same-speaker trials"),
        ([0.1], [], "no impostor trials"),
        ([0.1, np.nan], [0.2], "1 same-speaker scores are NaN"),
        ([0.1], [np.nan, np.nan], "2 impostor scores are NaN"),
    ],
)
def test_unusable_scores_are_named(function, positive, negative, message):
    arguments = (0.05,) if function is metrics.min_dcf else ()
    with pytest.raises(ValueError, match=message):
        function(positive, negative, *arguments)


@pytest.mark.parametrize("p_target, c_miss", [(0, 1), (1, 1), (0.05, 0)])
def test_costs_out_of_range(p_target, c_miss):
    with pytest.raises(ValueError, match="p_target must lie between"):
        metrics.min_dcf([1.0], [0.0], p_target, c_miss)


def test_verification_metrics_are_plain_floats():
    scores = torch.tensor([0.9, 0.8, 0.3, 0.7, 0.1, 0.2, 0.4, 0.0])
    labels = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0])
    row = metrics.verification_metrics(scores, labels)
    assert row == {"eer": 25.0, "min_dcf_0.05": 0.25, "min_dcf_0.01": 0.25}
    assert {type(value) for value in row.values()} == {float}
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(
    "scores, labels, message",
    [
        ([0.1, 0.2], [1], "differ in shape"),
        ([0.1, 0.2], [1, 2], "0 or 1"),
        ([0.1, 0.2], [1, 1], "no impostor trials"),
        ([], [], "no same-speaker trials"),
        ([0.1, np.nan], [1, 0], "NaN"),
    ],
)
def test_unusable_trials_are_named(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.verification_metrics(scores, labels)


@pytest.mark.parametrize("chunk_size", [1, 7, 65536])
def test_scores_are_cosines(chunk_size):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(10, 6, generator=generator)
    enrol, test = torch.randint(10, (2, 23), generator=generator)
    scores = metrics.score_trials(embeddings, enrol, test, chunk_size)
    expected = torch.cosine_similarity(embeddings[enrol], embeddings[test])
    torch.testing.assert_close(scores, expected)


def test_score_trials_accepts_arrays_and_no_trials():
    embeddings = np.eye(2, dtype=np.float32)
    scores = metrics.score_trials(embeddings, np.array([0]), np.array([0]))
    assert scores.tolist() == [1]
    assert metrics.score_trials(embeddings, [], []).shape == (0,)


@pytest.mark.parametrize(
    "embeddings, enrol, test, message",
    [
        ([[1.0], [0.0]], [0], [0], "1 of 2 embeddings are zero"),
        ([[1.0], [np.inf]], [0], [0], "1 of 2 embeddings are zero"),
        ([[1.0], [2.0]], [0], [2], "outside the 2 embeddings"),
        ([[1.0], [2.0]], [-1], [0], "outside the 2 embeddings"),
        ([[1.0], [2.0]], [0, 1], [0], "2 enrolment but 1 test"),
    ],
)
def test_unusable_trial_rows_are_named(embeddings, enrol, test, message):
    with pytest.raises(ValueError, match=message):
        metrics.score_trials(embeddings, enrol, test)


def accuracy_by_trying_all(labels, speakers):
    """Every one-to-one naming of clusters."""
    clusters = sorted(set(labels))
    names = sorted(set(speakers)) + [None] * len(clusters)
    return max(
        sum(
            dict(zip(clusters, chosen, strict=True))[label] == speaker
            for label, speaker in zip(labels, speakers, strict=True)
        )
        for chosen in itertools.permutations(names, len(clusters))
    ) / len(labels)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_label_quality_by_hand(pairs):
    labels, speakers = zip(*pairs, strict=True)
    quality = label_metrics.label_quality(labels, speakers)
    expected = 100 * accuracy_by_trying_all(labels, speakers)
    assert quality["accuracy"] == pytest.approx(expected)
    shares = []
    for cluster in set(labels):
        members = [s for label, s in pairs if label == cluster]
        shares.append(max(map(members.count, members)) / len(members))
    assert quality["purity"] == pytest.approx(100 * np.mean(shares))
    assert quality["clusters"] == len(shares)
    # names of clusters and speakers do not matter
    renamed = [{0: 90, 1: 5, 2: 7, 3: 0}[label] for label in labels]
    named = [f"id{speaker}" for speaker in speakers]
    assert label_metrics.label_quality(renamed, named) == pytest.approx(quality)


def test_nmi_by_the_book():
    # clusters of 2 and 2, speakers of 1 and 3: I = H(speaker) - ln(2)/2
    entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    information = entropy - np.log(2) / 2
    expected = information / ((entropy + np.log(2)) / 2)
    assert label_metrics.nmi([0, 0, 1, 1], [0, 1, 1, 1]) == pytest.approx(
        expected
    )
    assert label_metrics.nmi([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0)


def test_unassigned_utterances_do_not_count():
    labels = torch.tensor([0, 0, -1, 3, -1])
    speakers = ["a", "a", "a", "b", "c"]
    quality = label_metrics.label_quality(labels, speakers)
    expected = {"nmi": 1, "accuracy": 100, "purity": 100, "clusters": 2}
    assert quality == expected
    assert {type(value) for value in quality.values()} == {float, int}


def test_label_quality_without_warnings_when_clusters_are_tiny():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label_metrics.label_quality(np.arange(60), np.arange(60) // 2)


@pytest.mark.parametrize(
    "labels, speakers, message",
    [
        ([], [], "no labelled utterances"),
        ([-1, -1], [0, 1], "no labelled utterances"),
        ([0, 1], [0], "one length"),
    ],
)
def test_unusable_labels_are_named(labels, speakers, message):
    with pytest.raises(ValueError, match=message):
        label_metrics.label_quality(labels, speakers)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 6)),
        min_size=1,
        max_size=30,
    )
)
def test_a_cluster_stands_for_most_of_its_utterances(rows):
    labels, speakers, predictions = (
        np.array(x) for x in zip(*rows, strict=True)
    )
    stands_for = {
        k: np.bincount(speakers[labels == k]).argmax() for k in set(labels)
    }
    right, right_predictions = label_metrics.right_labels(
        labels, speakers, predictions
    )
    assert right.tolist() == [
        stands_for[k] == s for k, s in zip(labels, speakers, strict=True)
    ]
    assert right_predictions.tolist() == [
        stands_for.get(k) == s
        for k, s in zip(predictions, speakers, strict=True)
    ]
