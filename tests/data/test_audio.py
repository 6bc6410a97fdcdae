"""Reading excerpts of any rate."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.audio import length_at, read_excerpts, read_whole

RATE = 16000


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Half a second of noise at the target rate: path and samples."""
    path = tmp_path_factory.mktemp("audio") / "noise.wav"
    samples = np.random.default_rng(0).integers(-9999, 9999, RATE // 2)
    soundfile.write(path, samples.astype(np.int16), RATE)
    return str(path), (samples / 32768).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 7999), max_size=4), st.integers(1, 20000))
def test_excerpts_are_slices_of_the_endless_file(noise, starts, length):
    path, samples = noise
    endless = np.tile(samples, 4)
    found = read_excerpts(path, starts, length, len(samples), RATE, RATE)
    assert found.shape == (len(starts), length) and found.dtype == np.float32
    for excerpt, start in zip(found, starts, strict=True):
        np.testing.assert_array_equal(excerpt, endless[start : start + length])


def test_the_last_sample_is_reached_without_repetition(noise):
    path, samples = noise
    found = read_excerpts(path, [7900], 100, 8000, RATE, RATE)
    np.testing.assert_array_equal(found[0], samples[-100:])


def test_channels_are_averaged(tmp_path):
    left, right = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 4000))
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([left, right], 1), RATE, subtype="FLOAT")
    found = read_excerpts(path, [1000], 500, 4000, RATE, RATE)[0]
    expected = (left + right)[1000:1500] / 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def frequency(samples):
    """Strongest frequency in Hz, to a fraction of a bin."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return spectrum.argmax() * RATE / (1 << 18)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_rates_keep_frequency_and_level(tmp_path, rate, channels):
    path = tmp_path / "tone.flac"
    num_frames = int(1.2345 * rate)
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(num_frames) / rate)
    soundfile.write(path, np.stack([wave] * channels, 1), rate)
    total = length_at(num_frames, rate, RATE)
    assert total == num_frames * RATE // rate
    whole = read_whole(path, num_frames, rate, RATE)
    assert whole.shape == (total,)
    starts = [0, 1, 4321, total - 4000]
    excerpts = read_excerpts(path, starts, 4000, num_frames, rate, RATE)
    assert excerpts.shape == (4, 4000)
    for found in (whole, *excerpts):
        assert frequency(found) == pytest.approx(440, abs=0.5)
        assert np.abs(found[50:-50]).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampled_excerpts_lie_where_the_whole_file_has_them(tmp_path, rate):
    """To half a sample of the file's rate, and apart from the filter's ends."""
    path = tmp_path / "tone.wav"
    wave = 0.5 * np.sin(2 * np.pi * 200 * np.arange(rate) / rate)
    soundfile.write(path, wave * np.linspace(0, 1, rate), rate)
    whole = read_whole(path, rate, rate, RATE)
    starts = [0, 160, 3201, RATE - 2000]
    excerpts = read_excerpts(path, starts, 2000, rate, rate, RATE)
    slope = 2 * np.pi * 200 * 0.5 / rate  # largest change within a sample
    for start, excerpt in zip(starts, excerpts, strict=True):
        error = np.abs(excerpt - whole[start : start + 2000])[50:-50].max()
        assert error < slope + 2e-3


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_short_resampled_file_is_repeated(tmp_path, rate):
    path = tmp_path / "short.wav"
    wave = 0.5 * np.sin(2 * np.pi * 100 * np.arange(rate // 10) / rate)
    soundfile.write(path, wave, rate)
    found = read_excerpts(path, [1500], 5000, rate // 10, rate, RATE)[0]
    whole = read_whole(path, rate // 10, rate, RATE)
    np.testing.assert_array_equal(found, np.tile(whole, 5)[1500:6500])


@pytest.mark.parametrize("damage", ["missing", "text", "short", "half gone"])
def test_files_that_changed_since_preparation(tmp_path, damage):
    path = tmp_path / "a.wav"
    if damage == "text":
        path.write_text("no audio")
    elif damage != "missing":
        soundfile.write(path, np.ones(4000), RATE)
    num_frames = 8000 if damage == "half gone" else 4010
    start = 6000 if damage == "half gone" else 3000
    with pytest.raises(ValueError, match="a.wav.*prepare again") as e:
        read_excerpts(str(path), [start], 1010, num_frames, RATE, RATE)
    assert "\n" not in str(e.value)
