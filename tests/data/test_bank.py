"""Banks: what goes in comes out, wrapped, resampled and mono."""

import json
import pickle

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.bank import (
    AudioBank,
    average_channels,
    impulse_response,
    write_bank,
)


def write(path, samples, rate=16000, subtype="PCM_16"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.fixture(scope="module")
def ramp_bank(tmp_path_factory):
    """One clip of seven samples, 1/32767 to 7/32767, and a longer one."""
    folder = tmp_path_factory.mktemp("ramp")
    ramp = write(folder / "ramp.wav", np.arange(1, 8, dtype=np.int16))
    long = write(folder / "long.wav", np.arange(1, 101, dtype=np.int16))
    write_bank(folder / "bank", [ramp, long], ["music", "ambient"])
    return AudioBank(folder / "bank")


def test_clips_come_back_in_order_and_by_kind(ramp_bank):
    assert ramp_bank.num_clips == 2
    assert ramp_bank.indices_of("music").tolist() == [0]
    assert ramp_bank.indices_of("ambient").tolist() == [1]
    assert ramp_bank.indices_of("speech").tolist() == []
    clip = ramp_bank.clip(0)
    assert clip.dtype == np.float32
    # 16-bit files have full scale 32768, banks 32767: half a step at most
    np.testing.assert_allclose(clip * 32767, np.arange(1, 8), atol=1e-3)
    assert len(ramp_bank.clip(1)) == 100


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 30), length=st.integers(0, 40))
def test_an_excerpt_equals_the_repeated_clip(ramp_bank, start, length):
    endless = np.tile(ramp_bank.clip(0), 12)
    excerpt = ramp_bank.excerpt(0, start, length)
    assert excerpt.dtype == np.float32
    np.testing.assert_array_equal(excerpt, endless[start : start + length])


def test_other_rates_are_resampled_and_channels_averaged(tmp_path):
    time = np.arange(44100) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    stereo = write(tmp_path / "a.flac", np.stack([tone, 0 * tone], 1), 44100)
    write_bank(tmp_path / "bank", [stereo], ["ambient"])
    clip = AudioBank(tmp_path / "bank").clip(0)
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert len(clip) == 16000
    np.testing.assert_allclose(clip[200:-200], expected[200:-200], atol=2e-3)


def test_average_of_channels_is_scaled_down_only_beyond_full_scale():
    quiet = np.array([[0.5, 0.1], [-0.5, -0.5]])
    np.testing.assert_allclose(average_channels(quiet), [0.3, -0.5])
    np.testing.assert_allclose(average_channels(4 * quiet), [0.6, -1.0])


def test_impulse_response_takes_the_first_channel_at_full_scale():
    samples = np.array([[0.0, 1.0], [-0.02, 0.0], [0.01, 0.0]])
    np.testing.assert_allclose(impulse_response(samples), [0, -1, 0.5])
    assert not impulse_response(np.zeros((3, 2))).any()


def test_useless_files_are_named_with_their_reason(tmp_path):
    good = write(tmp_path / "good.wav", [0.1, -0.1])
    silent = write(tmp_path / "silent.wav", np.zeros(10))
    empty = write(tmp_path / "empty.wav", np.zeros(0))
    nan = write(tmp_path / "nan.wav", [0.1, np.nan], subtype="FLOAT")
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    files = [silent, good, empty, nan, text]
    write_bank(
        tmp_path / "bank", files, ["ambient"] * 5, num_workers=2, root=tmp_path
    )
    contents = json.loads((tmp_path / "bank" / "bank.json").read_text())
    assert contents["names"] == ["good.wav"]
    assert [name for name, _ in contents["excluded"]] == [
        "silent.wav",
        "empty.wav",
        "nan.wav",
        "text.wav",
    ]
    reasons = [reason for _, reason in contents["excluded"]]
    assert reasons[:3] == ["silent", "empty", "NaN or infinite"]
    assert reasons[3].startswith("unreadable: ")
    assert "\n" not in reasons[3] and str(tmp_path) not in reasons[3]


def test_a_bank_of_nothing_is_refused(tmp_path):
    silent = write(tmp_path / "silent.wav", np.zeros(10))
    with pytest.raises(ValueError, match="no usable audio.*silent.wav: silent"):
        write_bank(tmp_path / "noise", [silent], ["ambient"], root=tmp_path)
    with pytest.raises(FileNotFoundError, match="not an audio bank"):
        AudioBank(tmp_path / "noise")


def test_several_processes_write_the_same_bank(tmp_path):
    rng = np.random.default_rng(0)
    files = [
        write(tmp_path / f"{i}.wav", rng.uniform(-1, 1, 50 + i))
        for i in range(9)
    ]
    for num_workers in (1, 2):
        write_bank(
            tmp_path / str(num_workers),
            files,
            ["a"] * 9,
            num_workers=num_workers,
        )
    for name in ("samples.npy", "offsets.npy", "bank.json"):
        one, two = ((tmp_path / n / name).read_bytes() for n in "12")
        assert one == two


def test_samples_stay_on_disk_when_a_bank_travels_to_a_worker(ramp_bank):
    travelled = pickle.loads(pickle.dumps(ramp_bank))
    assert isinstance(travelled.samples, np.memmap)
    assert len(pickle.dumps(ramp_bank)) < 500
    np.testing.assert_array_equal(travelled.clip(1), ramp_bank.clip(1))


def test_a_cut_off_bank_is_noticed(tmp_path):
    long = write(tmp_path / "long.wav", np.arange(1, 101, dtype=np.int16))
    write_bank(tmp_path / "bank", [long], ["ambient"])
    np.save(tmp_path / "bank" / "offsets.npy", np.array([0, 120]))
    with pytest.raises(ValueError, match="damaged"):
        AudioBank(tmp_path / "bank")
