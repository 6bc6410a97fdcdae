"""Listing and checking audio."""

import os

import numpy as np
import pytest
import soundfile

from ssrl_brain.data import audio_files
from ssrl_brain.data.audio_files import (
    check_audio,
    fingerprint,
    list_audio,
    printable,
)

RATE = 8000


def tone(num_samples=2 * RATE, level=0.5):
    return level * np.sin(np.arange(num_samples) / 5)


def reason_for(path, samples, **options):
    soundfile.write(path, samples, RATE, **options)
    return check_audio(str(path)).reason


# ------------------------------- listing ----------------------------------


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


# -------------------------------- checks -----------------------------------


@pytest.mark.parametrize(
    "name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"]
)
def test_sound_files_pass_with_their_length(tmp_path, name):
    soundfile.write(tmp_path / name, tone(), RATE)
    assert check_audio(str(tmp_path / name)) == (2 * RATE, RATE, "")


@pytest.mark.parametrize(
    "samples, options, reason",
    [
        (np.zeros(0), {}, "empty"),
        (tone(RATE - 1), {}, "too short"),
        (tone(RATE), {}, ""),
        (np.zeros(2 * RATE), {}, "silent"),
        (np.full(2 * RATE, 0.25), {}, "silent"),  # an offset is no sound
        (tone(level=9e-5), {"subtype": "PCM_24"}, "silent"),
        (tone(level=2e-4), {"subtype": "PCM_24"}, ""),
        (np.append(tone(), np.nan), {"subtype": "FLOAT"}, "NaN or infinite"),
        (np.append(np.inf, tone()), {"subtype": "DOUBLE"}, "NaN or infinite"),
        (np.zeros(2 * RATE), {"subtype": "FLOAT"}, "silent"),
        (np.stack([tone(), -tone()], 1), {}, "silent"),  # average is zero
        (np.stack([tone(), 0 * tone()], 1), {}, ""),
    ],
)
def test_reason(tmp_path, samples, options, reason):
    assert reason_for(tmp_path / "a.wav", samples, **options) == reason


def test_a_sound_between_the_excerpts_is_found(tmp_path):
    samples = np.zeros(60 * RATE)
    samples[10 * RATE : 11 * RATE] = tone(RATE)
    assert reason_for(tmp_path / "a.flac", samples) == ""


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff", "a.au"])
def test_cut_off_files_are_noticed(tmp_path, name):
    path = tmp_path / name
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 40000), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert check_audio(str(path)).reason == "truncated"


def test_a_wave_file_written_to_a_pipe_is_whole(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    header = bytearray(path.read_bytes())
    header[4:8] = header[40:44] = b"\xff" * 4  # length unknown
    path.write_bytes(header)
    assert check_audio(str(path)) == (2 * RATE, RATE, "")


def test_a_header_that_counts_itself_is_forgiven(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    header = bytearray(path.read_bytes())
    header[40:44] = len(header).to_bytes(4, "little")
    path.write_bytes(header)
    assert check_audio(str(path)) == (2 * RATE, RATE, "")


def test_flac_without_a_length_is_excluded(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(), RATE)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # 36 bits of STREAMINFO: number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    reason = check_audio(str(path)).reason
    assert reason == "unreadable: its header does not tell its length"


def test_unreadable_files_say_why_in_one_line(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "zero.wav").write_bytes(b"")
    reason = check_audio(str(tmp_path / "text.wav")).reason
    assert reason.startswith("unreadable: ") and str(tmp_path) not in reason
    assert check_audio(str(tmp_path / "zero.wav")).reason == "empty"
