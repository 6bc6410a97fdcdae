"""Listing audio."""

import os

import pytest

from ssrl_brain.data import audio_files
from ssrl_brain.data.audio_files import (
    fingerprint,
    list_audio,
    printable,
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_listing_is_sorted_and_skips_what_is_hidden_or_no_audio(
    tmp_path, monkeypatch
):
    for name in (
        "b/1.wav",
        "a/2.FLAC",
        "a.wav",
        ".b/1.wav",
        "a/._2.wav",
        "a.txt",
    ):
        touch(tmp_path / name)
    touch(tmp_path / "c/1.m4a")
    assert list(list_audio(tmp_path).files)[-1] == "c/1.m4a"
    monkeypatch.setattr(audio_files, "has_ffmpeg", lambda: False)
    listing = list_audio(tmp_path)
    assert list(listing.files) == ["a.wav", "a/2.FLAC", "b/1.wav"]
    assert listing.files["a.wav"][0] == 1
    assert listing.unreadable == ["c/1.m4a"]
    assert listing.excluded == []


def test_links_that_lead_in_circles_or_nowhere_do_no_harm(tmp_path):
    touch(tmp_path / "a/1.wav")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "self.wav").symlink_to("self.wav")
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    listing = list_audio(tmp_path)
    assert list(listing.files) == ["a/1.wav"]
    assert [path for path, _ in listing.excluded] == ["gone.wav", "self.wav"]
    assert all(why.startswith("unreadable: ") for _, why in listing.excluded)


def test_names_that_no_table_can_hold_are_excluded(tmp_path):
    touch(tmp_path / "two\nlines/1.wav")
    with open(os.fsencode(tmp_path) + b"/\xff.wav", "wb"):
        pass
    listing = list_audio(tmp_path)
    assert listing.files == {}
    assert {why for _, why in listing.excluded} == {
        "name cannot be written to a table"
    }
    shown = [printable(path) for path, _ in listing.excluded]
    assert shown == ["two\\nlines/1.wav", "\\udcff.wav"]
    fingerprint(listing)


def test_missing_folder_names_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="give --data_folder="):
        list_audio(tmp_path / "missing")


def test_fingerprint_follows_names_sizes_and_times(tmp_path):
    touch(tmp_path / "1.wav")
    first = fingerprint(list_audio(tmp_path))
    assert fingerprint(list_audio(tmp_path)) == first
    os.utime(tmp_path / "1.wav", ns=(0, 0))
    second = fingerprint(list_audio(tmp_path))
    (tmp_path / "1.wav").rename(tmp_path / "2.wav")
    third = fingerprint(list_audio(tmp_path))
    assert len({first, second, third}) == 3
