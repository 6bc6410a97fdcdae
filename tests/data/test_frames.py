"""Frames of faces: finding, checking and reading them."""

import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ssrl_brain.data import frames
from ssrl_brain.data.frames import (
    Frames,
    check_source,
    frames_of,
    list_frames,
)
from ssrl_brain.data.prepare import folder, voxceleb


def picture(path, value=90, size=(12, 16), mode="RGB"):
    """An image of one colour; (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = value if mode == "L" else (value, 0, 255 - value)
    Image.new(mode, size, colour).save(path)


def video(path, seconds=3, rate=5, size=32):
    """Pictures that get lighter with every second."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = size
        for number in range(int(seconds * rate)):
            value = 40 + 60 * (number // rate)
            pixels = np.full((size, size, 3), value, np.uint8)
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


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
    before = frames.fingerprint(listing)
    picture(tmp_path / "d/e/2.webp")
    assert frames.fingerprint(list_frames(tmp_path)) != before
    with pytest.raises(FileNotFoundError, match="--frames_folder="):
        list_frames(tmp_path / "nowhere")


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_links_are_followed_once(tmp_path):
    picture(tmp_path / "elsewhere/1.jpg")
    (tmp_path / "faces/a").mkdir(parents=True)
    os.symlink(tmp_path / "elsewhere", tmp_path / "faces/a/b")
    os.symlink(tmp_path / "faces", tmp_path / "faces/loop")
    assert list_frames(tmp_path / "faces") == {"a/b": "1.jpg"}


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


def test_broken_frames_are_named(tmp_path):
    picture(tmp_path / "a/1.jpg", size=(64, 64))
    whole = (tmp_path / "a/1.jpg").read_bytes()
    (tmp_path / "a/2.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a/3.jpg").write_bytes(b"")
    (tmp_path / "a/4.jpg").write_text("no image")
    picture(tmp_path / "a/5.png", mode="L")
    names = list_frames(tmp_path)["a"]
    found = check_source(("a", names), tmp_path)
    assert found.names == ["1.jpg", "5.png"]
    assert [path for path, _ in found.broken] == [
        "a/2.jpg",
        "a/3.jpg",
        "a/4.jpg",
    ]
    assert all(r.startswith("unreadable frame: ") for _, r in found.broken)
    assert not any(str(tmp_path) in reason for _, reason in found.broken)


def test_reading_scales_and_gives_three_channels(tmp_path):
    picture(tmp_path / "a/1.png", 200, size=(30, 10))
    picture(tmp_path / "a/2.png", 77, mode="L")
    table = Frames(tmp_path, ["a"], ["1.png/2.png"])
    image = table.read(0, "1.png", 8)
    assert image.shape == (3, 8, 8) and image.dtype == np.uint8
    assert [np.unique(x).tolist() for x in image] == [[200], [0], [55]]
    assert (table.read(0, "2.png", 5) == 77).all()
    (tmp_path / "a/1.png").unlink()
    with pytest.raises(ValueError, match="cannot be read any more") as caught:
        table.read(0, "1.png", 8)
    assert "\n" not in str(caught.value)


def test_one_frame_a_second_of_a_video(tmp_path):
    video(tmp_path / "id/v/1.mp4", seconds=2.6)
    found = check_source(("id/v/1.mp4", ""), tmp_path)
    assert found == (["0", "1", "2"], [])
    table = Frames(tmp_path, ["id/v/1.mp4"], ["/".join(found.names)])
    levels = [int(table.read(0, name, 16).mean()) for name in found.names]
    np.testing.assert_allclose(levels, [40, 100, 160], atol=4)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    names, broken = check_source(("bad.mp4", ""), tmp_path)
    assert names == [] and broken[0][1].startswith("unreadable video: ")


def test_a_video_without_the_library_names_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"pip install 'ssrl_brain\[video\]'"):
        check_source(("a.mp4", ""), tmp_path)


def write_csv(path, rows, header="ID,source,frames"):
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize(
    "header, rows, message",
    [
        ("ID,source", ["u,a"], "expected the columns"),
        ("ID,source,frames", ["u,a"], "expected the columns"),
        ("ID,source,frames", ["other,a,1.jpg"], "other utterances"),
        ("ID,source,frames", ["u,../a,1.jpg"], "no frames inside"),
        ("ID,source,frames", ["u,a,../1.jpg"], "no frames inside"),
        ("ID,source,frames", ["u,a,"], "no frames inside"),
    ],
)
def test_damaged_tables_are_told_in_one_line(header, rows, message, tmp_path):
    write_csv(tmp_path / "frames.csv", rows, header)
    with pytest.raises(ValueError, match=message) as caught:
        Frames.from_csv(tmp_path / "frames.csv", tmp_path, ["u"])
    assert "\n" not in str(caught.value)


@given(st.lists(st.lists(st.integers(0, 99), min_size=1), min_size=1))
def test_subset_keeps_rows_together(names):
    texts = ["/".join(map(str, x)) for x in names]
    sources = [f"s{n}" for n in range(len(names))]
    table = Frames("f", sources, texts)
    rows = list(range(len(names)))[::-2]
    part = table.subset(rows)
    assert [part.names_of(n) for n in range(len(rows))] == [
        table.names_of(row) for row in rows
    ]
    assert list(part.sources) == [sources[row] for row in rows]
    assert (part.fingerprint() == table.fingerprint()) == (len(names) == 1)
