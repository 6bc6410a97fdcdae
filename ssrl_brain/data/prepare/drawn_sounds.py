"""Rooms, noises, music and recording conditions drawn at random."""

import numpy as np
from scipy.signal import fftconvolve, firwin2

from ssrl_brain.data.prepare.espeak import SAMPLE_RATE, unit_power


def draw_filter(rng, spread, low=0.0, high=SAMPLE_RATE / 2):
    """Draws 255 taps whose gain varies smoothly, by ``spread`` dB (one sigma).

    Outside ``low`` to ``high`` Hz the gain is -12 dB.
    """
    frequencies = np.linspace(0, SAMPLE_RATE / 2, 129)
    knots = np.geomspace(80, SAMPLE_RATE / 2, 8)
    gain = np.interp(frequencies, knots, rng.normal(0, spread, 8))
    gain[(frequencies < low) | (frequencies > high)] = -12
    return firwin2(255, frequencies, 10 ** (gain / 20), fs=SAMPLE_RATE)


def draw_room(rng, seconds):
    """Draws an impulse response that decays by 60 dB in so many seconds."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(size=len(time)) * 10 ** (-3 * time / seconds)
    tail = fftconvolve(tail, draw_filter(rng, 3), "same")
    tail[: int(rng.uniform(0.001, 0.01) * SAMPLE_RATE)] = 0  # first reflection
    tail *= 10 ** (-rng.uniform(0, 12) / 20) / np.linalg.norm(tail)
    tail[0] = 1  # the direct sound
    return tail


def draw_noise(rng, seconds):
    """Draws noise of a random colour, beat and hum; (T,) of unit power."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = fftconvolve(
        rng.normal(size=len(time)), draw_filter(rng, 12), "same"
    )
    noise = unit_power(noise)
    noise *= 1 + rng.uniform(0, 0.9) * np.sin(rng.uniform(2, 50) * time)
    phase = 2 * np.pi * rng.uniform(50, 300) * time
    hum = sum(np.sin(k * phase) / k for k in range(1, 6))
    return unit_power(noise + rng.choice([0, rng.uniform(0, 0.7)]) * hum)


def draw_music(rng, seconds):
    """Draws plucked chords on a major scale; (T,) of unit power."""
    length, beat = (
        int(s * SAMPLE_RATE) for s in (seconds, rng.uniform(0.2, 0.6))
    )
    tonic, brightness = 110 * 2 ** rng.uniform(0, 1), rng.uniform(0.4, 0.8)
    time = np.arange(2 * beat) / SAMPLE_RATE
    music = np.zeros(length + 2 * beat)
    for start in range(0, length, beat):
        for step in rng.choice([0, 2, 4, 5, 7, 9, 11, 12], rng.integers(1, 4)):
            phase = 2 * np.pi * tonic * 2 ** (step / 12) * time
            note = sum(brightness**k * np.sin(k * phase) for k in range(1, 9))
            music[start : start + 2 * beat] += note * np.exp(-4 * time)
    return unit_power(music[:length])


def draw_session(rng):
    """Draws a recording condition, as a function from speech to recording.

    Room, microphone, noise and level stay the same; each call hears another
    excerpt of the noise.
    """
    room = draw_room(rng, rng.uniform(0.1, 0.7))
    low, high = rng.uniform(0, 250), rng.uniform(3500, 10000)  # Hz
    microphone = draw_filter(rng, 3, low, high)
    snr, level = rng.uniform(10, 30), rng.uniform(-27, -21)  # dB
    noise = draw_noise(rng, 12) * 10 ** (-snr / 20)

    def record(speech):
        start = rng.integers(0, len(noise) - len(speech))
        heard = unit_power(fftconvolve(speech, room)[: len(speech)])
        heard += noise[start : start + len(speech)]
        heard = unit_power(fftconvolve(heard, microphone, "same"))
        return heard * 10 ** (level / 20)

    return record
