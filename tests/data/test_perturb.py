"""Pitch and tempo: measured on tones and voices of known pitch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from ssrl_brain.data.perturb import (
    Sometimes,
    change_length,
    perturb,
    pitch_shift,
    ratio_of,
    time_stretch,
)

RATE = 16000
PITCHES = [100, 123, 210, 317, 400]  # Hz


def tone(pitch, seconds=2.0, harmonics=5):
    """A complex of harmonics that fall off as 1/n."""
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(
        np.sin(2 * np.pi * n * pitch * time + n) / n
        for n in range(1, harmonics + 1)
    ).astype(np.float32)


def voice(pitch, seconds=2.0, scale=1.0):
    """Pulses through four formants; ``scale`` moves these."""
    wave = sum(
        np.cos(2 * np.pi * n * pitch * np.arange(round(seconds * RATE)) / RATE)
        for n in range(1, int(7500 / pitch) + 1)
    )
    for formant, width in ((500, 80), (1500, 100), (2500, 140), (3500, 200)):
        radius = np.exp(-np.pi * width * scale / RATE)
        angle = 2 * np.pi * formant * scale / RATE
        wave = lfilter(
            [1 - radius], [1, -2 * radius * np.cos(angle), radius**2], wave
        )
    return (wave / np.abs(wave).max()).astype(np.float32)


def cents_off(wave, expected):
    """How far the fundamental lies from the one expected."""
    inner = wave[len(wave) // 20 : -len(wave) // 20]
    size = 2**20  # 0.015 Hz
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), size))
    low, high = (round(expected * x * size / RATE) for x in (0.8, 1.25))
    found = (low + spectrum[low:high].argmax()) * RATE / size
    return 1200 * np.log2(found / expected)


def envelope(wave):
    """Mean log spectrum in bands of 200 Hz, up to 4 kHz."""
    frames = wave[: len(wave) // 800 * 800].reshape(-1, 800) * np.hanning(800)
    power = np.square(np.abs(np.fft.rfft(frames))).mean(0)[:200]
    return np.log(power.reshape(-1, 10).mean(1))


# ---------------------------------- pitch ----------------------------------


@pytest.mark.parametrize("make", [tone, voice])
@pytest.mark.parametrize("pitch", PITCHES)
@pytest.mark.parametrize("cents", [-200, 200])
def test_the_fundamental_moves_by_what_was_asked(make, pitch, cents):
    wave = make(pitch)
    shifted = pitch_shift(wave, cents)
    assert shifted.shape == wave.shape and shifted.dtype == np.float32
    assert abs(cents_off(shifted, pitch * 2 ** (cents / 1200))) < 2
    assert abs(cents_off(wave, pitch)) < 0.2  # the measure itself


@pytest.mark.parametrize("cents", [-200, 200])
def test_a_shifted_voice_is_that_of_another_speaker(cents):
    """It resembles pulses of that pitch through formants moved as far."""
    factor = 2 ** (cents / 1200)
    shifted = envelope(pitch_shift(voice(120), cents))
    other = envelope(voice(120 * factor, scale=factor))
    change = np.abs(envelope(voice(120)) - other).mean()
    assert np.abs(shifted - other).mean() < 0.25 * change


@pytest.mark.parametrize("cents", [-200, 200])
def test_a_shift_moves_no_sound_in_time(cents):
    wave = np.zeros(2 * RATE, dtype=np.float32)
    wave[16000:16800] = tone(150, 0.05)
    energy = np.square(pitch_shift(wave, cents))
    centre = (energy * np.arange(len(energy))).sum() / energy.sum()
    assert abs(centre - 16400) < 0.02 * RATE


@pytest.mark.parametrize("cents", [-200, 200])
def test_shifting_a_crop_is_cropping_what_was_shifted(cents):
    """Two vowels: each half of the shifted utterance has its own sound."""
    wave = np.concatenate([voice(120, 2.0), voice(150, 2.0, scale=1.3)])
    for crop in (slice(0, 24000), slice(33000, 64000)):
        one = pitch_shift(wave, cents)[crop]
        two = pitch_shift(wave[crop], cents)
        assert one.shape == two.shape
        assert np.abs(envelope(one) - envelope(two)).mean() < 0.1


@settings(max_examples=40, deadline=None)
@given(st.floats(-1200, 1200))
def test_fractions_are_within_a_tenth_of_a_cent(cents):
    found = 1200 * np.log2(float(ratio_of(cents)))
    assert abs(found - cents) < 0.1001


# ---------------------------------- tempo ----------------------------------


@pytest.mark.parametrize("make", [tone, voice])
@pytest.mark.parametrize("pitch", PITCHES)
@pytest.mark.parametrize("rate", [0.9, 1.1])
def test_tempo_leaves_the_pitch_alone(make, pitch, rate):
    wave = make(pitch)
    stretched = time_stretch(wave, rate)
    assert len(stretched) == round(len(wave) / rate)
    assert abs(cents_off(stretched, pitch)) < 2
    rms = [np.sqrt(np.square(x).mean()) for x in (wave, stretched)]
    assert rms[1] == pytest.approx(rms[0], rel=0.05)


@pytest.mark.parametrize("rate", [0.9, 1.1])
def test_tempo_leaves_the_formants_alone(rate):
    wave = voice(140)
    change = envelope(time_stretch(wave, rate)) - envelope(wave)
    assert np.abs(change).mean() < 0.1


@pytest.mark.parametrize("rate", [0.9, 1.1])
def test_events_happen_sooner_or_later(rate):
    wave = np.zeros(4 * RATE, dtype=np.float32)
    for second in (1, 2, 3):
        wave[second * RATE : second * RATE + 1600] = tone(200, 0.1)
    stretched = time_stretch(wave, rate)
    loud = np.flatnonzero(np.abs(stretched) > 0.1)
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-RATE) > RATE / 4)]
    np.testing.assert_allclose(
        starts / RATE, np.array([1, 2, 3]) / rate, atol=0.02
    )


def test_both_at_once():
    wave = perturb(voice(200, 2.2), 2 * RATE, cents=200)
    assert wave.shape == (2 * RATE,)
    assert abs(cents_off(wave, 200 * 2 ** (200 / 1200))) < 2


# ---------------------------------- edges ----------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.floats(0.5, 2), st.sampled_from([-200, 0, 200]))
def test_any_length_stays_finite(length, rate, cents):
    wave = np.random.default_rng(length).uniform(-1, 1, length)
    wanted = max(1, round(length / rate))
    found = perturb(wave.astype(np.float32), wanted, cents)
    assert found.shape == (wanted,) and found.dtype == np.float32
    assert np.isfinite(found).all()
    if not cents:  # every sample is one of the input or between two
        assert np.abs(found).max() <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000))
def test_the_same_length_is_the_same_speech(length):
    wave = np.random.default_rng(length).uniform(-1, 1, length)
    np.testing.assert_allclose(change_length(wave, length, RATE), wave)


def test_nothing_to_change_returns_the_very_array():
    wave = np.ones((2, 30), dtype=np.float32)
    assert perturb(wave, 30) is wave


@pytest.mark.parametrize("cents", [0, 200])
def test_rows_are_changed_by_themselves(cents):
    waves = np.stack([voice(120), tone(300), np.zeros(2 * RATE, "f4")])
    together = perturb(waves.reshape(3, 1, -1), 30000, cents)
    assert together.shape == (3, 1, 30000)
    for wave, found in zip(waves, together[:, 0], strict=True):
        np.testing.assert_allclose(
            found, perturb(wave, 30000, cents), atol=1e-6
        )
    assert not together[2].any()  # silence


# --------------------------------- drawing ---------------------------------


def test_values_are_equally_likely_and_the_rest_is_neutral():
    draw = Sometimes(0.6, [0.9, 1.1], otherwise=1)
    generator = np.random.default_rng(0)
    drawn = [draw(generator) for _ in range(3000)]
    for value, share in ((0.9, 0.3), (1.1, 0.3), (1, 0.4)):
        assert drawn.count(value) / 3000 == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("prob, values", [(1.5, [1]), (-0.1, [1]), (0.5, [])])
def test_impossible_draws_are_refused(prob, values):
    with pytest.raises(ValueError, match="pitch and tempo: the probability"):
        Sometimes(prob, values, otherwise=0)
