"""Fixed pseudo labels: which utterances train, and how a run is resumed."""

import json
import shutil

import numpy as np
import pytest
from conftest import ROOT

from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.commands import train
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)
from ssrl_brain.training.log import read_history

STAGES = ["iterative.yaml", "dlg_lc.yaml"]


@pytest.fixture
def purified(start, tmp_path):
    """Label folder that drops the first 10 of the 24 utterances."""
    table = Utterances.from_csv(start["prepared_folder"] / "train.csv")
    found = read_pseudo_labels(start["label_folder"], table)
    keep = np.arange(len(table)) >= 10
    clusters = Clusters(found.labels, found.centroids, found.distances)
    folder = tmp_path / "labels"
    write_pseudo_labels(folder, table, clusters, keep)
    return folder, table, found.labels, keep


@pytest.mark.parametrize("name", STAGES)
def test_only_kept_utterances_train(name, purified, start, command, tmp_path):
    folder, table, labels, keep = purified
    options = {**start, "label_folder": folder}
    brain = train.main(command(name, **options, output_folder=tmp_path / "run"))
    used = brain.train_set
    assert list(used.utterances.ids) == list(table.ids)[10:]
    assert brain.labels.tolist() == labels[keep].tolist()
    assert len(brain.train_sampler) == 2  # 14 utterances, batches of 8
    rows = {key.index for batch in brain.train_sampler for key in batch}
    assert rows == set(range(14))


@pytest.mark.parametrize("name", STAGES)
def test_other_labels_or_rows_are_not_resumed(
    name, purified, start, command, tmp_path
):
    folder, table, labels, keep = purified
    options = {**start, "label_folder": folder, "output_folder": tmp_path / "r"}
    train.main(command(name, **options))
    centroids = np.load(folder / "centroids.npy")
    clusters = Clusters(labels, centroids, np.zeros(len(labels)))
    options["number_of_epochs"] = 3
    for new_labels, new_keep in (
        (labels, ~keep),
        (np.roll(labels, 1), keep),
    ):
        shutil.rmtree(folder)
        clusters = clusters._replace(labels=new_labels)
        write_pseudo_labels(folder, table, clusters, new_keep)
        with pytest.raises(ValueError, match="--label_folder it began with"):
            train.main(command(name, **options))


def test_the_rate_falls_on_a_plateau(start, command, tmp_path):
    line = command(
        "iterative.yaml",
        **{**start, "number_of_epochs": 4, "plateau_patience": 1},
        output_folder=tmp_path,
        lr=1e-12,
    )
    brain = train.main(line)
    assert brain.hparams.lr_schedule.num_plateaus > 0


def test_two_stage_goes_on_from_the_centroids(start, command, tmp_path):
    line = command(
        "iterative.yaml",
        **{**start, "number_of_epochs": 0},
        output_folder=tmp_path,
    )
    line.insert(1, str(ROOT / "hparams/two_stage.yaml"))
    brain = train.main(line)
    weight = brain.hparams.head.weight.detach().numpy()
    np.testing.assert_array_equal(
        weight, np.load(start["label_folder"] / "centroids.npy")
    )


def test_two_stage_trains_with_adam_on_a_cosine(start, command, tmp_path):
    line = command("iterative.yaml", **start, output_folder=tmp_path)
    line.insert(1, str(ROOT / "hparams/two_stage.yaml"))
    brain = train.main(line)
    assert type(brain.optimizer).__name__ == "Adam"
    first, last = (record["lr"] for record in read_history(tmp_path))
    assert 1e-4 > first > last > 1e-5


def test_purification_is_told_where_the_labels_are(start, command, tmp_path):
    from ssrl_brain.commands import label

    options = {**start, "label_folder": tmp_path / "labels"}
    metrics = label.main(
        command(
            "pseudo_label.yaml",
            **options,
            drop_fraction=0.25,
            min_cluster_size=3,
        )
    )
    table = Utterances.from_csv(start["prepared_folder"] / "train.csv")
    found = read_pseudo_labels(tmp_path / "labels", table)
    assert 0 < found.keep.sum() == metrics["kept"] <= 18
    assert np.bincount(found.labels[found.keep]).max() >= 3
    assert found.source["metrics"] == metrics
    assert {"nmi", "nmi_kept", "clusters_kept"} <= set(metrics)
    assert found.source["drop_fraction"] == 0.25
    text = (tmp_path / "labels/source.json").read_text()
    assert json.loads(text)["min_cluster_size"] == 3
