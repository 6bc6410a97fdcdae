"""Which utterances are taken for the same speaker (CA-DINO, III-B)."""

import numpy as np
import torch


class ClusterPositives(torch.nn.Module):
    """Clusters of a corpus, and the utterances that an example is cut from.

    At first every utterance is a cluster of its own, which is DINO without
    clusters. All is kept in three flat buffers that checkpoints hold, and that
    forked reading processes share.

    Arguments
    ---------
    num_utterances : int

    Example
    -------
    >>> positives = ClusterPositives(4)
    >>> positives(2, 3, np.random.default_rng(0))
    array([2, 2, 2])
    >>> positives.set_clusters(torch.tensor([1, 0, 1, 0]))
    >>> sorted(positives(2, 2, np.random.default_rng(0)).tolist())
    [0, 2]
    """

    def __init__(self, num_utterances):
        super().__init__()
        everyone = torch.arange(num_utterances)
        self.register_buffer("cluster", everyone.clone())
        # Cluster c has members[bounds[c] : bounds[c + 1]]. There are at most
        # as many clusters as utterances; those that do not exist are empty.
        self.register_buffer("members", everyone.clone())
        self.register_buffer("bounds", torch.arange(num_utterances + 1))

    def set_clusters(self, labels):
        """Replaces the clusters.

        Arguments
        ---------
        labels : torch.Tensor
            (N,) integers from 0 to N - 1; a number may be missing.

        Raises
        ------
        ValueError
            If there is not one such label per utterance.
        """
        size = len(self.cluster)
        if labels.shape != self.cluster.shape:
            raise ValueError(
                f"{size} utterances but labels of shape {tuple(labels.shape)}"
            )
        if labels.min() < 0 or labels.max() >= size:
            raise ValueError(
                f"cluster labels must lie between 0 and {size - 1}"
            )
        self.cluster.copy_(labels)
        self.members.copy_(self.cluster.argsort(stable=True))
        counts = torch.bincount(self.cluster, minlength=size)
        self.bounds[1:] = counts.cumsum(0)

    def forward(self, index, num, generator):
        """Rows that the crops of an utterance are taken from.

        The first is the utterance itself, so that none is left out of an
        epoch; the others are drawn from its cluster without repetition. A
        cluster smaller than ``num`` is used over and over, evenly.

        Arguments
        ---------
        index : int
            Row of the utterance.
        num : int
            Number of crops.
        generator : numpy.random.Generator

        Returns
        -------
        numpy.ndarray
            (num,) rows.
        """
        cluster = self.cluster[index]
        start, end = self.bounds[cluster : cluster + 2].tolist()
        members = self.members[start:end].numpy()
        others = members[members != index]
        drawn = generator.choice(
            others, min(num - 1, len(others)), replace=False
        )
        return np.resize(np.append(index, drawn).astype(np.int64), num)
