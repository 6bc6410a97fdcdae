"""Frames of faces: finding them, and whose they are."""

import os
import sys

import pytest
from pictures import picture
from PIL import Image

from ssrl_brain.data import frame_files
from ssrl_brain.data.frame_files import frames_of, list_frames
from ssrl_brain.data.prepare import folder, voxceleb


def test_listing_has_every_kind_and_nothing_else(tmp_path):
    for name in (
        "b/10.jpg",
        "b/2.JPG",
        "b/x.png",
        "c/.hidden.jpg",
        "d/e/1.webp",
    ):
        picture(tmp_path / name)
    (tmp_path / "b/notes.txt").write_text("no image")
    (tmp_path / "v.mp4").write_bytes(b"")
    (tmp_path / "top.jpg").write_bytes(b"")  # of no utterance
    listing = list_frames(tmp_path)
    assert listing == {"b": "2.JPG/10.jpg/x.png", "d/e": "1.webp", "v.mp4": ""}
    before = frame_files.fingerprint(listing)
    picture(tmp_path / "d/e/2.webp")
    assert frame_files.fingerprint(list_frames(tmp_path)) != before
    with pytest.raises(FileNotFoundError, match="--frames_folder="):
        list_frames(tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_links_are_followed_once(tmp_path):
    picture(tmp_path / "elsewhere/1.jpg")
    (tmp_path / "faces/a").mkdir(parents=True)
    os.symlink(tmp_path / "elsewhere", tmp_path / "faces/a/b")
    os.symlink(tmp_path / "faces", tmp_path / "faces/loop")
    assert list_frames(tmp_path / "faces") == {"a/b": "1.jpg"}


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_of_two_ways_to_a_folder_the_first_by_name_is_taken(tmp_path):
    picture(tmp_path / "elsewhere/1.jpg")
    (tmp_path / "faces").mkdir()
    for name in ("c", "a", "b"):
        os.symlink(tmp_path / "elsewhere", tmp_path / "faces" / name)
    os.symlink(tmp_path / "faces/itself", tmp_path / "faces/itself")
    assert list_frames(tmp_path / "faces") == {"a": "1.jpg"}


def test_a_folder_may_be_called_like_a_video(tmp_path):
    picture(tmp_path / "a/00001.mp4/1.jpg")
    assert list_frames(tmp_path) == {"a/00001.mp4": "1.jpg"}


def test_a_folder_that_cannot_be_listed_is_told(tmp_path, monkeypatch, caplog):
    picture(tmp_path / "a/1.jpg")
    picture(tmp_path / "locked/1.jpg")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list_frames(tmp_path) == {"a": "1.jpg"}
    assert "1 folders below frames_folder" in caplog.text
    assert "the first locked/: Permission denied" in caplog.text


def test_no_frame_is_opened_or_measured(tmp_path, monkeypatch):
    for number in range(30):
        picture(tmp_path / f"a/{number}.jpg")
    looked, stat = [], os.stat

    def look(*args, **kwargs):
        looked.append(args)
        return stat(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", look)
        patch.setattr(Image, "open", look)
        list_frames(tmp_path)
    looked = [path for (path,) in looked if str(tmp_path) in str(path)]
    # the folders, which os.path.isdir may ask about without this function
    assert 2 <= len(looked) <= 3


def test_sources_are_matched_as_the_layout_names_utterances():
    listing = {
        "dev/mp4/id00001/v/00001.mp4": "",
        "faces/id00001/v/00001": "1.jpg",  # images come before videos
        "faces/id00001/v/00002": "1.jpg/2.jpg",
        "dev/mp4/id00002/v/00001.avi": "",
        "faces/id00009/v/00001": "1.jpg",
    }
    entries = voxceleb.entries(
        f"dev/aac/id0000{s}/v/0000{u}.wav"
        for s, u in [(1, 1), (1, 2), (2, 1), (3, 1)]
    )
    found = frames_of(listing, voxceleb, entries)
    assert {entry.id: source for entry, (source, _) in found.items()} == {
        "id00001/v/00001": "faces/id00001/v/00001",
        "id00001/v/00002": "faces/id00001/v/00002",
        "id00002/v/00001": "dev/mp4/id00002/v/00001.avi",
    }
    entries = folder.entries(["a/x.wav", "a/y.mp3", "a/y.wav"])
    found = frames_of({"a/x": "1.jpg", "a/y.wav": "1.jpg"}, folder, entries)
    assert [entry.id for entry in found] == ["a/x", "a/y.wav"]
