"""Pitch and tempo of speech, changed one without the other (DINO study, 3.2).

Speech is cut into segments that are laid side by side again, closer together
or further apart, each shifted by up to half a search range to where its
waveform continues the one before (WSOLA: waveform similarity overlap-add).
Pitch is changed by resampling, which moves the formants as well, as a vocal
tract of another size does, followed by the change of length that makes up for
it. SoX, which the study used, does the same with the same segment lengths. (A
phase vocoder would smear the pulses of a voice, and is several times slower.)

Pitch takes 0.5 ms, tempo 0.2 ms a second of speech, on one thread of a shared
x86 server core (OMP_NUM_THREADS=1 python benchmarks/speed_perturb.py).
"""

import fractions
import functools
import itertools
import math

import numpy as np
from scipy.signal import resample_poly

SEGMENT_SECONDS = 0.082  # the three defaults of SoX
SEARCH_SECONDS = 0.01468  # one period of a voice of 68 Hz
OVERLAP_SECONDS = 0.012


class Sometimes:
    """One of some values with a probability, otherwise the neutral one.

    Arguments
    ---------
    prob : float
        Probability that one of the values is drawn.
    values : list of float
        Equally likely.
    otherwise : float
        The neutral value.

    Example
    -------
    >>> generator = np.random.default_rng(0)
    >>> never, always = (Sometimes(p, [0.9], otherwise=1) for p in (0, 1))
    >>> never(generator), always(generator)
    (1, 0.9)
    """

    def __init__(self, prob, values, otherwise):
        if not 0 <= prob <= 1 or not len(values):
            raise ValueError(
                "pitch and tempo: the probability must lie in [0, 1] and the "
                f"list of values must not be empty; got {prob} and {values}"
            )
        self.prob = prob
        self.values = list(values)
        self.otherwise = otherwise

    def __call__(self, generator):
        if generator.random() >= self.prob:
            return self.otherwise
        return self.values[generator.integers(len(self.values))]


def pitch_shift(wave, cents, sample_rate=16000):
    """Speech at another pitch, of the same length.

    Arguments
    ---------
    wave : numpy.ndarray
        (..., T)
    cents : float
        Hundredths of a semitone; positive is higher.
    sample_rate : int

    Returns
    -------
    numpy.ndarray
        (..., T)

    Example
    -------
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    >>> shifted = pitch_shift(tone, 200)
    >>> shifted.shape, int(np.abs(np.fft.rfft(shifted)).argmax())  # Hz
    ((16000,), 224)
    """
    return perturb(wave, np.shape(wave)[-1], cents, sample_rate)


def time_stretch(wave, rate, sample_rate=16000):
    """Speech at another tempo, of the same pitch.

    Arguments
    ---------
    wave : numpy.ndarray
        (..., T)
    rate : float
        More than 1 is faster, and shorter.
    sample_rate : int

    Returns
    -------
    numpy.ndarray
        (..., round(T / rate))

    Example
    -------
    >>> time_stretch(np.zeros((2, 16000)), 0.8).shape
    (2, 20000)
    """
    return perturb(wave, round(np.shape(wave)[-1] / rate), 0, sample_rate)


def perturb(wave, length, cents=0, sample_rate=16000):
    """The whole of the speech in another length and at another pitch.

    Both take one pass, which is faster than one after the other and cuts the
    speech once.

    Arguments
    ---------
    wave : numpy.ndarray
        (..., T), T at least 1.
    length : int
        Samples of the result; T leaves the tempo as it is.
    cents : float
        Change of pitch.
    sample_rate : int

    Returns
    -------
    numpy.ndarray
        (..., length); the very same array if there is nothing to change.
    """
    if cents:
        ratio = ratio_of(cents)
        wave = resample_poly(wave, ratio.denominator, ratio.numerator, axis=-1)
    if np.shape(wave)[-1] == length:
        return wave
    rows = np.reshape(wave, (-1, np.shape(wave)[-1]))
    rows = np.stack([change_length(row, length, sample_rate) for row in rows])
    return rows.reshape(*np.shape(wave)[:-1], length)


@functools.cache
def ratio_of(cents):
    """Smallest fraction within a tenth of a cent of a change of pitch.

    Exact ratios are irrational, and resampling by large numbers is slow.

    Example
    -------
    >>> ratio_of(200), ratio_of(-200), ratio_of(1200)
    (Fraction(55, 49), Fraction(49, 55), Fraction(2, 1))
    """
    exact = 2 ** (cents / 1200)
    for denominator in itertools.count(1):
        ratio = fractions.Fraction(
            max(1, round(exact * denominator)), denominator
        )
        if abs(math.log2(ratio / exact)) * 1200 < 0.1:
            return ratio


def change_length(wave, length, sample_rate):
    """(T,) speech as (length,) speech of the same pitch, by WSOLA.

    Example
    -------
    >>> change_length(np.ones(9), 5, sample_rate=16000)
    array([1., 1., 1., 1., 1.])
    """
    segment, search, overlap = (
        max(1, round(seconds * sample_rate))
        for seconds in (SEGMENT_SECONDS, SEARCH_SECONDS, OVERLAP_SECONDS)
    )
    step = segment - overlap
    rate = len(wave) / length
    num_segments = -(-length // step)
    # The last segment may reach over the end: speech returns from there.
    wave = np.pad(wave, (0, segment + search), mode="symmetric")
    output = np.empty(num_segments * step + overlap, dtype=wave.dtype)
    output[:segment] = wave[:segment]
    fade = np.linspace(0, 1, overlap, endpoint=False, dtype=wave.dtype)
    start = 0
    for number in range(1, num_segments):
        expected = wave[start + step : start + segment]
        first = max(0, round(number * step * rate) - search // 2)
        region = wave[first : first + search + overlap]
        start = first + most_similar(region, expected)
        now = number * step
        found = wave[start : start + segment]
        output[now : now + segment] = found
        output[now : now + overlap] = expected + fade * (
            found[:overlap] - expected
        )
    return output[:length]


def most_similar(region, expected):
    """Where in a region lies what differs least from what is expected.

    Example
    -------
    >>> most_similar(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.1, 2.2]))
    1
    """
    energy = np.cumsum(np.square(region, dtype=np.float64))
    energy = energy[len(expected) - 1 :] - np.append(
        0, energy[: -len(expected)]
    )
    product = np.correlate(region, expected, "valid")
    return int(np.argmin(energy - 2 * product))
