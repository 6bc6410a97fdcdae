"""Online clustering: from the teacher's posteriors to predicted labels.

An assignment takes the posteriors of a batch and returns the labels that are
ready: those of the batch, or of several batches at once, or none yet.
"""

import torch

from ssrl_brain.clustering.sinkhorn import sinkhorn_labels
from ssrl_brain.system.distributed import distinct_rows, gather_rows


class ArgmaxAssignment(torch.nn.Module):
    """The most probable cluster (SSRL, eq. 6).

    Example
    -------
    >>> assign = ArgmaxAssignment()
    >>> log_probs = torch.tensor([[0.1, 0.9]]).log()
    >>> index, labels, _ = assign(torch.tensor([7]), log_probs, rest=0)
    >>> index, labels
    (tensor([7]), tensor([1]))
    """

    def forward(self, index, log_probs, rest):
        """Labels of this batch, see ``SinkhornAssignment.forward``."""
        return index, log_probs.argmax(-1), log_probs


class SinkhornAssignment(torch.nn.Module):
    """Clusters of equal size by optimal transport (SSRL, section III-B2).

    Posteriors are collected over batches and ranks until there are more
    utterances than clusters, M * B > K, and are then all labelled at once.
    An epoch is divided evenly: no collection goes on into the next epoch,
    where an utterance could be met a second time, and none is too small.
    What is collected is part of the checkpoints: 2 bytes for an utterance
    and cluster, 130 MB for K = 8,000.

    Arguments
    ---------
    sharpness : float
        See ``sinkhorn_knopp``; the paper does not say. The larger, the more
        labels are given up for equal sizes.
    rows_per_cluster : float
        Collected are more than so many utterances for each cluster, up to
        twice as many in an epoch that has no room for a second collection.
    tol : float
        Largest relative deviation of the mass of a cluster.
    max_iters : int

    Example
    -------
    >>> assign = SinkhornAssignment(sharpness=100.0)
    >>> probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> first, second = probs.log().split(2)
    >>> index, labels, _ = assign(torch.tensor([5, 3]), first, rest=2)
    >>> len(index), len(assign.index)
    (0, 2)
    >>> index, labels, _ = assign(torch.tensor([0, 4]), second, rest=0)
    >>> index.tolist(), labels.tolist(), len(assign.index)
    ([3, 5, 0, 4], [0, 0, 1, 1], 0)
    """

    def __init__(
        self, sharpness=10.0, rows_per_cluster=1.0, tol=0.01, max_iters=200
    ):
        super().__init__()
        if rows_per_cluster < 1:
            raise ValueError(
                "rows_per_cluster must be at least 1 (SSRL: M * B > K), not "
                f"{rows_per_cluster}"
            )
        self.sharpness = sharpness
        self.rows_per_cluster = rows_per_cluster
        self.tol = tol
        self.max_iters = max_iters
        self.register_buffer("index", torch.empty(0, dtype=torch.long))
        # Half precision of the logarithm: 0.05 % of a loss, however small,
        # where half precision of a probability ends at 6e-8.
        self.register_buffer("log_probs", torch.empty(0, 0, dtype=torch.half))

    def forward(self, index, log_probs, rest):
        """Collects a batch; labels all that is collected when it is enough.

        Arguments
        ---------
        index : torch.Tensor
            (B,) rows of the utterance table on this rank.
        log_probs : torch.Tensor
            (B, K) logarithms of the teacher's posteriors.
        rest : int
            Utterances of all ranks that the epoch has after this batch.

        Returns
        -------
        index : torch.Tensor
            (M,) rows whose labels are ready, of all ranks; none yet: empty.
        labels : torch.Tensor
            (M,) their labels.
        log_probs : torch.Tensor
            (M, K) their posteriors.

        Raises
        ------
        ValueError
            If an epoch has no more utterances than clusters.
        """
        found = gather_rows(index, log_probs.half())
        index, log_probs = distinct_rows(*found)
        if len(self.index):
            index = torch.cat([self.index, index])
            log_probs = torch.cat([self.log_probs, log_probs])
        if not self._is_enough(len(index), rest, log_probs.shape[1]):
            self.index, self.log_probs = index, log_probs
            return index[:0], index[:0], log_probs[:0]
        self.index, self.log_probs = self.index[:0], self.log_probs[:0]
        labels = sinkhorn_labels(
            log_probs.exp(), self.sharpness, self.tol, self.max_iters
        )
        return index, labels, log_probs

    def _is_enough(self, collected, rest, num_clusters):
        """Whether it is an equal share of what is left, and leaves enough."""
        if collected + rest <= num_clusters:
            raise ValueError(
                f"{collected + rest} utterances are too few for equally large "
                f"{num_clusters} clusters: lower --num_clusters or use "
                "ArgmaxAssignment"
            )
        least = int(self.rows_per_cluster * num_clusters) + 1
        if 0 < rest < least:
            return False
        collections = max((collected + rest) // least, 1)
        return collected * collections >= collected + rest

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Takes as many rows as were collected when the state was saved."""
        for name in ("index", "log_probs"):
            if prefix + name in state_dict:
                saved = state_dict[prefix + name]
                buffer = getattr(self, name)
                setattr(self, name, buffer.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
