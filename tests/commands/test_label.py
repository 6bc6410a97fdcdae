"""Clustering of joined embeddings."""

import torch
import torch.nn.functional as F

from ssrl_brain.clustering.kmeans import kmeans
from ssrl_brain.commands.label import join
from ssrl_brain.evaluation.label_metrics import label_quality


def test_together_they_tell_what_neither_can_alone():
    """Four speakers: two voices that sound alike, two faces that look alike."""
    generator = torch.Generator().manual_seed(0)
    speakers = torch.arange(4).repeat(25)
    voice, face = speakers // 2, speakers % 2
    parts = [
        9.0 * length * F.one_hot(kind, 5).float()
        + 0.3 * length * torch.randn(100, 5, generator=generator)
        for kind, length in ((voice, 1.0), (face, 40.0))
    ]

    def nmi(embeddings):
        clusters = kmeans(embeddings.numpy(), num_clusters=4, seed=0)
        return label_quality(clusters.labels, speakers)["nmi"]

    alone = [nmi(part) for part in parts]
    assert max(alone) < 0.8
    assert nmi(join(parts)) == 1.0
    # without unit lengths the longer one would decide by itself
    assert nmi(torch.cat(parts, 1)) < 0.8


def test_each_part_counts_alike():
    one, other = torch.rand(5, 3), 100 * torch.rand(5, 4)
    joined = join([one, other])
    for part in joined.split([3, 4], dim=1):
        torch.testing.assert_close(part.norm(dim=1), torch.ones(5))
    assert join([one]) is one
