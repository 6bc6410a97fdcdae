"""Cluster-aware DINO from its real YAML."""

import pytest
import torch

from ssrl_brain.clustering.kmeans import kmeans
from ssrl_brain.commands import train
from ssrl_brain.evaluation.embed import embed
from ssrl_brain.training.log import read_history


@pytest.fixture
def run(start, command, tmp_path):
    """Trains cluster-aware DINO; returns the Brain."""

    def train_ca_dino(folder="run", **options):
        options = {"output_folder": tmp_path / folder, **options}
        return train.main(command("ca_dino.yaml", **{**start, **options}))

    return train_ca_dino


def weights(brain):
    return torch.cat([p.flatten() for p in brain.teacher.parameters()])


def test_crops_come_from_clusters_of_the_teachers_embeddings(run, monkeypatch):
    """The clusters are those of the teacher at the end of the first epoch."""
    import ssrl_brain.brains.ca_dino as module

    expected = {}
    cluster = module.ClusterAwareDINOBrain.cluster

    def spy(brain):
        data = brain.train_set
        brain.teacher.train()  # whatever mode it is left in
        embeddings = embed(
            brain.encode_with(brain.teacher.encoder),
            data.utterances,
            data.data_folder,
            data.sample_rate,
        )
        found = kmeans(embeddings, 7, num_iters=50, seed=1986)
        expected["cluster"] = torch.from_numpy(found.labels)
        return cluster(brain)

    monkeypatch.setattr(module.ClusterAwareDINOBrain, "cluster", spy)
    brain = run()
    assert brain.train_set.sources is brain.positives
    assert torch.equal(brain.positives.cluster, expected["cluster"])
    assert len(brain.positives.cluster.unique()) > 1


def test_reading_processes_take_part(run):
    """Their runs end in the same weights, and clusters change the weights."""
    alone = weights(run("alone", num_workers=0))
    assert torch.equal(alone, weights(run("two", num_workers=2)))
    never = weights(run("never", num_workers=2, ordinary_epochs=2))
    assert not torch.equal(alone, never)


def test_when_it_clusters_and_what_it_logs(run, tmp_path):
    run(number_of_epochs=6, ordinary_epochs=2, cluster_every=2, probe_every=0)
    history = read_history(tmp_path / "run")
    clustered = [r["epoch"] for r in history if "cluster_seconds" in r]
    assert clustered == [2, 4]  # at the end of the last it would be in vain
    record = history[1]
    assert 1 <= record["clusters"] <= 7
    assert 0 <= record["nmi"] <= 1
    assert record["largest_cluster"] >= 24 / 7
    assert "teacher_entropy" in record


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"positive_clusters": 100},
            r"--positive_clusters=100 is larger .* \(24\)",
        ),
        ({"ordinary_epochs": 0}, "ordinary_epochs=0 must be"),
        ({"cluster_every": 0}, "cluster_every=0 must be"),
        (
            {"dataloader_options": "{persistent_workers: True}"},
            "persistent_workers would never see",
        ),
    ],
)
def test_mistakes_are_told_before_training(run, options, message):
    if "dataloader_options" in options:
        options["num_workers"] = 1
    with pytest.raises(ValueError, match=message) as caught:
        run(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pair_global_views, pairs", [(True, 2 * 6 - 2), (False, 2 * 4)]
)
def test_loss_is_equation_5_over_the_number_of_pairs(
    run, pair_global_views, pairs
):
    """Sums of cross-entropies and of cosine distances, both as printed."""
    brain = run(number_of_epochs=1, pair_global_views=pair_global_views)
    brain.epoch, brain.step = 1, 1
    torch.manual_seed(0)
    student, logits = torch.randn(6, 3, 8), torch.randn(6, 3, 12)
    teacher, targets = torch.randn(2, 3, 8), torch.randn(2, 3, 12)
    loss = brain.compute_objectives(
        (student, logits, teacher, targets), None, None
    )
    log_probs = (logits / 0.1).log_softmax(-1)
    probs = brain.hparams.dino_loss.targets(targets, 0.04)
    first = 0 if pair_global_views else 2
    total = sum(
        -(probs[i] * log_probs[j]).sum(-1)
        for i in range(2)
        for j in range(first, 6)
        if i != j
    )
    total = total + sum(
        1 - torch.cosine_similarity(teacher[i], student[j], dim=-1)
        for i in range(2)
        for j in range(6)
    )
    torch.testing.assert_close(loss, total.mean() / pairs)
