"""Quality of pseudo labels, measured by true speakers.

It is handed these by ``ssrl_brain.evaluation.speakers``, only to report.
"""

import numpy as np
import scipy.optimize
import scipy.sparse
import sklearn.metrics


def nmi(labels, speakers):
    """Normalised mutual information, arithmetic mean of the two entropies.

    Arguments
    ---------
    labels : torch.Tensor or numpy.ndarray
        (N,) pseudo labels; every value counts as a cluster.
    speakers : torch.Tensor, numpy.ndarray or list of str
        (N,) true speakers.

    Returns
    -------
    float
        Between 0 (independent) and 1 (the same partition).

    Example
    -------
    >>> nmi([7, 7, 3, 3], ["ann", "ann", "bob", "bob"])
    1.0
    """
    labels, speakers = _partitions(labels, speakers)
    return float(
        sklearn.metrics.normalized_mutual_info_score(
            speakers, labels, average_method="arithmetic"
        )
    )


def clustering_accuracy(labels, speakers):
    """Share of utterances right under the best one-to-one matching.

    Clusters and speakers are matched by the Hungarian method; the utterances
    of a cluster left without a speaker are wrong.

    Arguments
    ---------
    labels : torch.Tensor or numpy.ndarray
        (N,) pseudo labels; every value counts as a cluster.
    speakers : torch.Tensor, numpy.ndarray or list of str
        (N,) true speakers.

    Returns
    -------
    float
        Between 0 and 1.

    Example
    -------
    >>> clustering_accuracy([7, 7, 3, 5], ["ann", "ann", "bob", "bob"])
    0.75
    """
    return float(matched_labels(labels, speakers).mean())


def matched_labels(labels, speakers):
    """Which utterances are right under the best one-to-one matching.

    Arguments
    ---------
    labels, speakers
        See ``clustering_accuracy``, which is their share.

    Returns
    -------
    numpy.ndarray
        (N,) bool

    Example
    -------
    >>> matched_labels([7, 7, 3, 5], ["ann", "ann", "bob", "bob"])
    array([ True,  True,  True, False])
    """
    labels, speakers = _partitions(labels, speakers)
    # 8,000 clusters by 6,000 speakers: 0.4 GB, and seconds to match
    counts = _contingency(labels, speakers).toarray().astype(np.float64)
    clusters, matches = scipy.optimize.linear_sum_assignment(
        counts, maximize=True
    )
    speaker_of = np.full(len(counts), -1)
    speaker_of[clusters] = matches
    return speaker_of[labels] == speakers


def purity(labels, speakers):
    """Mean over clusters of the share of its largest speaker (SSRL, eq. 20).

    Every cluster has the same weight, whatever its size.

    Arguments
    ---------
    labels : torch.Tensor or numpy.ndarray
        (N,) pseudo labels; every value counts as a cluster.
    speakers : torch.Tensor, numpy.ndarray or list of str
        (N,) true speakers.

    Returns
    -------
    float
        Between 0 and 1.

    Example
    -------
    >>> purity([7, 7, 7, 7, 3], ["ann", "ann", "bob", "bob", "bob"])
    0.75
    """
    counts = _contingency(labels, speakers)
    largest = counts.max(axis=1).toarray().ravel()
    size = np.asarray(counts.sum(axis=1)).ravel()
    return float((largest / size).mean())


def right_labels(labels, speakers, predictions):
    """Which utterances carry a label that stands for their speaker.

    A cluster stands for the speaker most of whose utterances it holds; of
    equals, the one that comes first in sorted order.

    Arguments
    ---------
    labels : numpy.ndarray
        (N,) pseudo labels, from which the meaning of a cluster is read.
    speakers : numpy.ndarray
        (N,) true speakers.
    predictions : numpy.ndarray
        (N,) other labels for the same utterances. A cluster without any
        utterance stands for nobody.

    Returns
    -------
    right : numpy.ndarray
        (N,) bool, for the labels.
    right_predictions : numpy.ndarray
        (N,) bool, for the predictions.

    Example
    -------
    >>> labels, speakers = np.array([5, 5, 5, 2]), np.array([0, 0, 1, 1])
    >>> right_labels(labels, speakers, np.array([5, 5, 2, 9]))
    (array([ True,  True, False,  True]), array([ True,  True,  True, False]))
    """
    clusters = np.unique(labels)
    numbers, speakers = _partitions(labels, speakers)
    counts = _contingency(numbers, speakers)
    stands_for = np.asarray(counts.argmax(axis=1)).ravel()
    position = np.searchsorted(clusters, predictions)
    position = np.minimum(position, len(clusters) - 1)
    known = clusters[position] == predictions
    right = stands_for[numbers] == speakers
    return right, known & (stands_for[position] == speakers)


def label_quality(labels, speakers):
    """All measures of pseudo labels (SSRL, section IV-D2).

    Arguments
    ---------
    labels : torch.Tensor or numpy.ndarray
        (N,) pseudo labels; utterances with a label below 0 are left out.
    speakers : torch.Tensor, numpy.ndarray or list of str
        (N,) true speakers.

    Returns
    -------
    dict
        As the paper prints them: ``nmi`` between 0 and 1, ``accuracy`` and
        ``purity`` in per cent; ``clusters``, the number of clusters with at
        least one utterance.

    Raises
    ------
    ValueError
        Different lengths, or no utterance with a label.

    Example
    -------
    >>> label_quality([4, 4, 9, -1], ["ann", "ann", "bob", "bob"])
    {'nmi': 1.0, 'accuracy': 100.0, 'purity': 100.0, 'clusters': 2}
    """
    labels, speakers = np.asarray(labels), np.asarray(speakers)
    if labels.shape == speakers.shape:  # else _partitions says so
        assigned = labels >= 0
        labels, speakers = labels[assigned], speakers[assigned]
    labels, speakers = _partitions(labels, speakers)
    return {
        "nmi": nmi(labels, speakers),
        "accuracy": 100.0 * clustering_accuracy(labels, speakers),
        "purity": 100.0 * purity(labels, speakers),
        "clusters": int(labels.max()) + 1,
    }


def _partitions(labels, speakers):
    """Both sides as numbers 0, 1, ... without gaps."""
    labels, speakers = np.asarray(labels), np.asarray(speakers)
    if labels.shape != speakers.shape or labels.ndim != 1:
        raise ValueError(
            "labels and speakers must be two lists of one length, not "
            f"{labels.shape} and {speakers.shape}"
        )
    if labels.size == 0:
        raise ValueError("there are no labelled utterances to measure")
    labels = np.unique(labels, return_inverse=True)[1]
    speakers = np.unique(speakers, return_inverse=True)[1]
    return labels, speakers


def _contingency(labels, speakers):
    """(K, S) sparse counts of utterances; no row and no column is empty."""
    labels, speakers = _partitions(labels, speakers)
    ones = np.ones(len(labels), dtype=np.int64)
    return scipy.sparse.csr_matrix((ones, (labels, speakers)))
