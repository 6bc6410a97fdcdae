"""Checking audio: what can be trained on, and why the rest cannot."""

import numpy as np
import pytest
import soundfile

from ssrl_brain.data.audio_check import check_audio

RATE = 8000


def tone(num_samples=2 * RATE, level=0.5):
    return level * np.sin(np.arange(num_samples) / 5)


def reason_for(path, samples, **options):
    soundfile.write(path, samples, RATE, **options)
    return check_audio(str(path)).reason


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
