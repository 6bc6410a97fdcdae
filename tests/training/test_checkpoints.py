"""Checkpoints are whole or absent, whatever happens while they are written."""

import contextlib
import resource
import shutil

import pytest
import torch

from ssrl_brain.commands import train
from ssrl_brain.handover.export import export_encoder
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)
from ssrl_brain.system import errors, files
from ssrl_brain.training.checkpoints import Checkpointer
from ssrl_brain.training.log import read_history


@pytest.fixture
def layers():
    """Two layers of 4 kB each."""
    return {name: torch.nn.Linear(1, 500) for name in ("first", "second")}


@pytest.fixture
def checkpointer(tmp_path, layers):
    return Checkpointer(tmp_path / "save", layers)


def names(checkpointer):
    return sorted(path.name for path in checkpointer.checkpoints_dir.iterdir())


def test_one_checkpoint_is_kept(checkpointer):
    for epoch in (1, 2, 3):
        checkpointer.save_and_keep_only(meta={"epoch": epoch})
    (name,) = names(checkpointer)
    assert name.startswith("CKPT")
    found = checkpointer.find_checkpoint()
    assert found.meta["epoch"] == 3
    assert set(found.paramfiles) == {"first", "second"}


class Killed(BaseException):
    """Stands for a kill: nothing gets to clean up."""


@pytest.mark.parametrize("num_files", [0, 1, 2])
def test_a_kill_inside_a_write_leaves_the_one_before(
    num_files, checkpointer, layers, monkeypatch
):
    checkpointer.save_and_keep_only(meta={"epoch": 1})
    before = {k: v.weight.clone() for k, v in layers.items()}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        save, written = torch.save, []

        def killed(state, path):
            if len(written) == num_files:
                raise Killed
            written.append(path)
            save(state, path)

        patch.setattr(torch, "save", killed)
        if num_files == 2:  # all there, but not yet renamed
            patch.setattr(
                "ssrl_brain.training.checkpoints.to_disk",
                lambda path: killed(0, path),
            )
        for layer in layers.values():
            torch.nn.init.ones_(layer.weight)
        checkpointer.save_and_keep_only(meta={"epoch": 2})
    assert checkpointer.recover_if_possible().meta["epoch"] == 1
    for name, layer in layers.items():
        assert torch.equal(layer.weight, before[name])
    checkpointer.save_and_keep_only(meta={"epoch": 3})
    assert len(names(checkpointer)) == 1


def test_a_kill_inside_a_removal_leaves_the_next_one(checkpointer, monkeypatch):
    checkpointer.save_and_keep_only(meta={"epoch": 1})
    with monkeypatch.context() as patch, pytest.raises(Killed):

        def killed(path):
            (path / "CKPT.yaml").unlink()
            raise Killed

        patch.setattr("speechbrain.utils.checkpoints.shutil.rmtree", killed)
        checkpointer.save_and_keep_only(meta={"epoch": 2})
    assert checkpointer.recover_if_possible().meta["epoch"] == 2
    checkpointer.save_and_keep_only(meta={"epoch": 3})
    assert len(names(checkpointer)) == 1  # the half of the first is gone too


@pytest.mark.parametrize("damage", ["shorten", "remove", "other"])
def test_a_damaged_checkpoint_is_named(damage, checkpointer, layers):
    checkpointer.save_and_keep_only()
    path = next(checkpointer.checkpoints_dir.iterdir()) / "second.ckpt"
    if damage == "shorten":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "remove":
        path.unlink()
        checkpointer.optional_recoverables["second"] = False
    else:
        checkpointer.recoverables["second"] = torch.nn.Linear(2, 500)
    with pytest.raises(ValueError, match="damaged or of another") as caught:
        checkpointer.recover_if_possible()
    assert str(path.parent) in str(caught.value)
    assert "\n" not in str(caught.value)


# ------------------------------- full disks ---------------------------------


@contextlib.contextmanager
def no_file_beyond(num_bytes):
    """The system refuses to write more into any file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def told(error, path):
    """The message of a failed write: one line that names the path."""
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    assert "too large" in message or "is the disk full?" in message
    return message


def test_a_full_disk_leaves_the_checkpoint_before(checkpointer):
    checkpointer.save_and_keep_only(meta={"epoch": 1})
    with no_file_beyond(2000), pytest.raises(OSError) as error:
        checkpointer.save_and_keep_only(meta={"epoch": 2})
    told(error, checkpointer.checkpoints_dir)
    assert len(names(checkpointer)) == 1
    assert checkpointer.recover_if_possible().meta["epoch"] == 1


def test_a_full_disk_leaves_the_log_before(tmp_path):
    files.write_text(tmp_path / "history.jsonl", "old")
    with no_file_beyond(100), pytest.raises(OSError) as error:
        files.write_text(tmp_path / "history.jsonl", "new" * 100)
    told(error, tmp_path / "history.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]
    assert (tmp_path / "history.jsonl").read_text() == "old"


def test_a_full_disk_leaves_the_labels_before(start, tmp_path):
    import numpy as np

    from ssrl_brain.clustering.kmeans import Clusters
    from ssrl_brain.data.utterances import Utterances

    table = Utterances.from_csv(start["prepared_folder"] / "train.csv")
    size = len(table)
    clusters = Clusters(np.zeros(size, int), np.ones((1, 4)), np.zeros(size))
    write_pseudo_labels(tmp_path / "labels", table, clusters)
    with no_file_beyond(1000), pytest.raises(OSError) as error:
        write_pseudo_labels(
            tmp_path / "labels", table, clusters, embeddings=np.ones((size, 99))
        )
    told(error, tmp_path / "labels")
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    assert read_pseudo_labels(tmp_path / "labels", table).keep.all()


def test_a_full_disk_leaves_the_export_before(start, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(start["encoder_folder"], folder)
    text = (folder / "hyperparams.yaml").read_text()
    with no_file_beyond(1000), pytest.raises(OSError) as error:
        export_encoder(folder, torch.nn.Linear(50, 50), text, "DINO")
    told(error, folder)
    for path in start["encoder_folder"].iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_a_full_disk_leaves_no_half_prepared_folder(tiny_corpus, tmp_path):
    from ssrl_brain.data.prepare import auto

    options = {**tiny_corpus, "prepared_folder": tmp_path / "prepared"}
    with no_file_beyond(10000), pytest.raises(OSError) as error:
        auto.prepare(**options, min_seconds=0.3, num_workers=1)
    told(error, tmp_path / "prepared")
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    start, command, tmp_path
):
    options = {**start, "number_of_epochs": 1}
    line = command("contrastive.yaml", **options, output_folder=tmp_path / "a")
    with no_file_beyond(20000), pytest.raises(OSError) as error:
        train.main(line)
    told(error, tmp_path / "a/save")
    assert list((tmp_path / "a/save").iterdir()) == []
    train.main(line)
    assert len(read_history(tmp_path / "a")) == 1


def test_no_permission_is_one_line(start, command, tmp_path, monkeypatch):

    def refuse(path, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.makedirs", refuse)
    line = command("contrastive.yaml", **start, output_folder=tmp_path / "a")
    with pytest.raises(SystemExit) as caught, errors.one_line_errors([]):
        train.main(line)
    assert str(caught.value) == (
        f"error: [Errno 13] Permission denied: '{tmp_path}/a/save'"
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DataLoader worker (pid 1) is killed by signal: Killed."),
    ],
)
def test_no_memory_is_one_line_with_the_remedy(error):

    with pytest.raises(SystemExit) as caught, errors.one_line_errors([]):
        raise error
    assert str(caught.value).startswith(f"error: {error}: not enough memory")
    assert "--batch_size" in str(caught.value)
