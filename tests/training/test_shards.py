"""Training, clustering and verification from tar shards, as from files."""

import json
import shutil
import tarfile

import numpy as np
import pytest
from conftest import ROOT, TINY
from test_training import assert_same_run

import ssrl_brain
from ssrl_brain.commands import label, shard, train, verify
from ssrl_brain.data.shards import PLACE


@pytest.fixture(scope="module")
def shards(tiny_corpus, tmp_path_factory):
    """Options that point a stage to shards; the lists are elsewhere."""
    folder = tmp_path_factory.mktemp("shards")
    data = tiny_corpus["data_folder"]
    shard.main(
        [
            f"--data_folder={data}",
            f"--output_folder={folder / 'shards'}",
            "--shard_megabytes=0.2",
        ]
    )
    assert len(list((folder / "shards").glob("*.tar"))) > 3
    return {
        **tiny_corpus,
        "data_folder": folder / "shards",
        "trial_lists": data / tiny_corpus["trial_lists"],
        "prepared_folder": folder / "prepared",
    }


def trained(name, command, options, folder, **more):
    """Output folder of a run, with the overrides of the small corpus."""
    yaml, *line = command(name, **options, **more, output_folder=folder)
    line += [f"--{k}={TINY[k]}" for k in ("number_of_epochs", "batch_size")]
    mini = str(ROOT / "hparams/mini.yaml")
    train.main([yaml, mini, *dict.fromkeys(line)])
    return folder


def test_a_run_from_shards_ends_as_that_from_files(
    start, shards, command, tmp_path
):
    """Every crop, noise, room and label: the weights are the same bits."""
    runs = [
        trained("contrastive.yaml", command, start, tmp_path / "files"),
        trained("contrastive.yaml", command, shards, tmp_path / "shards"),
        trained(
            "contrastive.yaml",
            command,
            shards,
            tmp_path / "reading processes",
            num_workers=2,
        ),
    ]
    assert_same_run(runs[0], runs[1])
    assert_same_run(runs[0], runs[2])
    table = (shards["prepared_folder"] / "train.csv").read_text()
    assert len(table.splitlines()) > 20
    assert all(
        PLACE.fullmatch(row.split(",")[1]) for row in table.splitlines()[1:]
    )


def test_labels_and_error_rates_are_the_same(start, shards, command, tmp_path):
    folders = {}
    for name, options in (("files", start), ("shards", shards)):
        options = {**options, "encoder_folder": start["encoder_folder"]}
        options |= {"label_folder": tmp_path / name / "labels"}
        label.main(command("pseudo_label.yaml", **options))
        verify.main(
            command(
                "verify.yaml", **options, output_folder=tmp_path / name / "eer"
            )
        )
        folders[name] = tmp_path / name
    for file in ("embeddings.npy", "centroids.npy", "pseudo_labels.csv"):
        first, second = (x / "labels" / file for x in folders.values())
        assert first.read_bytes() == second.read_bytes(), file
    first, second = (
        json.loads((x / "eer/metrics.json").read_text())
        for x in folders.values()
    )
    assert first["trials"] == second["trials"]


def test_faces_stay_files(start, shards, command, tmp_path):
    """Those of the same utterances are found."""
    runs = []
    for name, options in (("files", start), ("shards", shards)):
        options = {
            **start,
            **options,
            "prepared_folder": tmp_path / f"prepared {name}",
        }
        folder = tmp_path / name
        train.main(
            command("audio_visual.yaml", **options, output_folder=folder)
        )
        runs.append(folder)
    assert_same_run(*runs)


def test_a_tar_that_changes_ends_the_run_in_a_line(
    shards, command, tmp_path, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("changing")
    shutil.copytree(shards["data_folder"], folder / "shards")
    options = {
        **shards,
        "data_folder": folder / "shards",
        "prepared_folder": folder / "prepared",
    }
    run = {"output_folder": tmp_path}
    train.main(
        command("contrastive.yaml", **{**options, "number_of_epochs": 1}, **run)
    )
    with tarfile.open(folder / "shards/shard-000001.tar") as tar:
        first = tar.getnames()[0]
        tar.extract(first, tmp_path / "x", filter="data")
    with tarfile.open(folder / "shards/shard-000001.tar", "w") as tar:
        tar.add(tmp_path / "x" / first, first)
    with pytest.raises(ValueError, match="with another utterance table"):
        train.main(command("contrastive.yaml", **options, **run))


def test_notebooks_read_shards(start, shards):
    folder, encoder = start["data_folder"], start["encoder_folder"]
    loose = ssrl_brain.embed(folder, encoder, progress=False)
    packed = ssrl_brain.embed(shards["data_folder"], encoder, progress=False)
    names = [path.partition(".tar/")[2] for path in packed.paths]
    assert names == [path[len(str(folder)) + 1 :] for path in loose.paths]
    assert "@" not in "".join(packed.paths)
    assert np.array_equal(loose.vectors, packed.vectors)
    (one,) = list(shards["data_folder"].glob("*-000001.tar"))
    part = ssrl_brain.embed(one, encoder, progress=False)
    row = packed.paths.index(part.paths[0])
    assert np.array_equal(part.vectors[0], packed.vectors[row])
    names = list(zip(names[::2], names[1::2], strict=True))
    found, wanted = (
        ssrl_brain.verify(
            [(n % 2, a, b[:-4]) for n, (a, b) in enumerate(names)],
            encoder,
            place,
            progress=False,
        )["scores"]
        for place in (shards["data_folder"], folder)
    )
    assert len(found) == 21 and np.array_equal(found, wanted)
    with pytest.raises(FileNotFoundError, match="no b.wav, neither in a tar"):
        trial = (1, names[0][0], "b.wav")
        ssrl_brain.verify([trial], encoder, shards["data_folder"])
