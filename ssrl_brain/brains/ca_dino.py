"""Cluster-aware DINO (CA-DINO, III-B)."""

import time

import torch

from ssrl_brain.brains.dino import DINOBrain
from ssrl_brain.data.positives import ClusterPositives
from ssrl_brain.system.distributed import from_first_rank, on_first_rank


class ClusterAwareDINOBrain(DINOBrain):
    """DINO whose crops come, after some epochs, from a whole cluster.

    At the end of epoch ``ordinary_epochs``, and every ``cluster_every`` epochs
    from there on, the teacher embeds the corpus and ``cluster`` groups it.
    """

    def make_state(self):
        """Every utterance a cluster of its own."""
        super().make_state()
        if self.hparams.ordinary_epochs < 1 or self.hparams.cluster_every < 1:
            raise ValueError(
                "ordinary_epochs and cluster_every must be at least 1"
            )
        if self.hparams.dataloader_options.get("persistent_workers"):
            raise ValueError(
                "persistent_workers would never see new clusters: take it out "
                "of dataloader_options"
            )
        size = len(self.train_set)
        number = self.hparams.positive_clusters
        if number > size:  # told now, not in 90 epochs
            raise ValueError(
                f"--positive_clusters={number} is larger than the number of "
                f"utterances ({size}): lower it"
            )
        # read by the processes that cut the crops, hence on the CPU
        self.remember("positives", ClusterPositives(size), "cpu")
        self.train_set.sources = self.positives

    @property
    def clustering_epochs(self):
        """Epochs that end with a clustering; never the last."""
        return range(
            self.hparams.ordinary_epochs,
            self.hparams.epoch_counter.limit,
            self.hparams.cluster_every,
        )

    def end_epoch(self, epoch):
        """Looks for new clusters, when it is time."""
        record = super().end_epoch(epoch)
        if epoch in self.clustering_epochs:
            record |= self.cluster()
        return record

    def cluster(self):
        """Clusters the corpus; crops come from these clusters from now on."""
        started = time.time()
        table = self.train_set.utterances
        embeddings = self.embed_corpus(self.encode_with(self.teacher.encoder))
        labels = torch.empty(len(table), dtype=torch.int64)
        # one clustering, the same for all
        found = on_first_rank(lambda: self.hparams.cluster(embeddings.numpy()))
        if found is not None:
            labels = torch.from_numpy(found.labels)
        labels = from_first_rank(labels.to(self.device)).cpu()
        self.positives.set_clusters(labels)
        sizes = labels.bincount()
        return {
            "clusters": int((sizes > 0).sum()),
            "largest_cluster": int(sizes.max()),
            "cluster_seconds": round(time.time() - started, 2),
            **self.hparams.label_metrics(table, labels.numpy()),
        }
