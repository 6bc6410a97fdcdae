"""Preparation with faces: who has none is left out, counted and named."""

import csv
import json
import shutil

import pytest
from PIL import Image

from ssrl_brain.data.frames import Frames
from ssrl_brain.data.prepare.auto import prepare
from ssrl_brain.data.utterances import Utterances


@pytest.fixture
def faces(tiny_corpus, tmp_path):
    """A copy of the frames that a test may change."""
    return shutil.copytree(tiny_corpus["frames_folder"], tmp_path / "faces")


def prepared(tiny_corpus, tmp_path, faces, **options):
    """(table, frames, excluded paths by reason, counts)"""
    folder = tmp_path / "prepared"
    prepare(
        tiny_corpus["data_folder"],
        folder,
        trial_lists=tiny_corpus["trial_lists"],
        min_seconds=0.3,
        frames_folder=faces,
        num_workers=1,
        **options,
    )
    table = Utterances.from_csv(folder / "train.csv")
    frames = Frames.from_csv(folder / "frames.csv", faces, table.ids)
    with open(folder / "excluded.csv", newline="") as file:
        excluded = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    counts = json.loads((folder / "prepared.json").read_text())["counts"]
    return table, frames, excluded, counts


def test_utterances_without_frames_are_left_out(tiny_corpus, tmp_path, faces):
    shutil.rmtree(faces / "id00001/s0/2")
    for path in (faces / "id00002/s1/0").iterdir():
        path.write_text("broken")
    Image.new("RGB", (9, 9)).save(faces / "id00003/s0/0/9999.jpg")
    (faces / "id00003/s0/0/9998.jpg").write_bytes(b"")
    table, frames, excluded, counts = prepared(tiny_corpus, tmp_path, faces)
    ids = list(table.ids)
    assert len(ids) == 22 and len(frames) == 22
    assert not {"id00001/s0/2", "id00002/s1/0"} & set(ids)
    assert excluded["wav/id00001/s0/2.wav"] == "no frames"
    assert excluded["wav/id00002/s1/0.wav"] == "no frames"
    assert excluded["id00003/s0/0/9998.jpg"].startswith("unreadable frame")
    assert counts["left out"]["no frames"] == 2
    names = frames.names_of(ids.index("id00003/s0/0"))
    assert names[-1] == "9999.jpg" and "9998.jpg" not in names
    assert counts["frames"] == sum(
        len(frames.names_of(row)) for row in range(len(frames))
    )
    # verification is by speech alone: test speakers need no faces
    assert counts["test"] == 18


def test_new_frames_are_noticed_and_old_ones_not_read_again(
    tiny_corpus, tmp_path, faces, monkeypatch
):
    first = prepared(tiny_corpus, tmp_path, faces)[3]["frames"]
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", None)  # would fail if it was called
        assert prepared(tiny_corpus, tmp_path, faces)[3]["frames"] == first
    Image.new("RGB", (9, 9)).save(faces / "id00000/s0/0/9999.jpg")
    assert prepared(tiny_corpus, tmp_path, faces)[3]["frames"] == first + 1


def test_nothing_is_written_among_the_frames(tiny_corpus, tmp_path, faces):
    with pytest.raises(ValueError, match="which is only read"):
        prepare(
            tiny_corpus["data_folder"],
            faces / "prepared",
            frames_folder=faces,
        )
    before = sorted(faces.rglob("*"))
    prepared(tiny_corpus, tmp_path, faces)
    assert sorted(faces.rglob("*")) == before


def test_a_wrong_folder_tells_what_is_sought(tiny_corpus, tmp_path):
    other = tmp_path / "other/somebody/1"
    other.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(other / "1.jpg")
    with pytest.raises(ValueError) as caught:
        prepared(tiny_corpus, tmp_path, tmp_path / "other")
    assert "sought in id00000/s0/0/*.jpg or id00000/s0/0.mp4" in str(
        caught.value
    )
    assert "there is somebody/1/*" in str(caught.value)
    assert "\n" not in str(caught.value)
