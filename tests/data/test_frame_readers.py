"""Frames of faces: checking and reading images and videos."""

import sys

import numpy as np
import pytest
from pictures import picture, video

from ssrl_brain.data.frame_files import list_frames
from ssrl_brain.data.frame_readers import check_source
from ssrl_brain.data.frames import Frames


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
