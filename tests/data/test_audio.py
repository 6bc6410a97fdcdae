"""Reading excerpts of any rate."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data import audio
from ssrl_brain.data.audio import length_at, read_excerpts, read_whole
from ssrl_brain.data.utterances import Utterances

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


# ---------------------- large numbers, as tables hold them -------------------

RATES = st.one_of(
    st.sampled_from([8000, 16000, 22050, 44100, 48000, 96000, 192000]),
    st.integers(8000, 192000),
)
KINDS = st.sampled_from([int, np.int32, np.int64])


class Asked(Exception):
    """Carries the spans that would be read of a file of hours."""


@settings(max_examples=300, deadline=None)
@given(st.floats(1, 3 * 3600), RATES, RATES, KINDS, st.data())
def test_spans_of_long_files_are_those_of_exact_arithmetic(
    seconds, rate, target_rate, kind, data
):
    """Crops and whole files, 1 s to 3 h, 8 to 192 kHz."""
    num_frames = int(seconds * rate)
    table = Utterances(["a"], ["a"], [num_frames], [rate], [0])
    total = length_at(table.num_frames[0], table.sample_rates[0], target_rate)
    assert total == num_frames * target_rate // rate  # of Python's integers
    assert total == pytest.approx(num_frames * (target_rate / rate), abs=1)
    length = data.draw(st.one_of(st.just(total), st.integers(1, total)))
    starts = data.draw(st.lists(st.integers(0, total - length), max_size=3))

    class File:
        samplerate = rate

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def read_spans(file, spans):
        raise Asked(spans)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Asked) as asked:
        patch.setattr(audio, "open_audio", lambda path: File())
        patch.setattr(audio, "read_spans", read_spans)
        read_excerpts(
            "a",
            np.array(starts, dtype=np.int64),
            kind(length),
            table.num_frames[0],
            kind(rate),
            kind(target_rate),
        )
    (spans,) = asked.value.args
    assert len(spans) == len(starts)
    for start, (first, count) in zip(starts, spans, strict=True):
        begin = np.float64(start) * rate / target_rate
        end = (np.float64(start) + length) * rate / target_rate
        assert 0 <= first <= num_frames and 0 < count
        assert first == pytest.approx(np.floor(begin), abs=1)
        assert begin - 1 <= first <= begin
        assert end - 1e-3 <= first + count <= end + 2


@pytest.mark.parametrize(
    "rate, seconds",
    [
        *((16000, s) for s in (8, 18, 20, 24, 40, 140)),
        *((8000, s) for s in (18, 40)),
        *((r, s) for r in (44100, 48000) for s in (8, 20, 60)),
        (192000, 30),
    ],
)
def test_long_files_are_read_whole(tmp_path, rate, seconds):
    """Those that failed, and others around them; a click tells the place."""
    path = str(tmp_path / "a.wav")
    wave = np.zeros(seconds * rate, np.int16)
    wave[rate // 2 :: rate] = 9999
    soundfile.write(path, wave, rate)
    table = Utterances(["a"], [path], [len(wave)], [rate], [0])
    frames, rates = table.num_frames[0], table.sample_rates[0]
    whole = read_whole(path, frames, rates, RATE)
    assert whole.shape == (seconds * RATE,)
    clicks = np.abs(whole.reshape(seconds, RATE)).argmax(1)
    assert (np.abs(clicks - RATE // 2) <= 1).all()
    starts = np.array([0, seconds - 2]) * RATE
    for excerpt in read_excerpts(path, starts, 2 * RATE, frames, rates, RATE):
        clicks = np.abs(excerpt.reshape(2, RATE)).argmax(1)
        assert (np.abs(clicks - RATE // 2) <= 1).all()


def test_a_file_of_another_rate_by_now(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(4000), 8000)
    with pytest.raises(ValueError, match="a.wav .*8000 Hz by now.*prepare ag"):
        read_whole(str(path), 4000, RATE, RATE)
