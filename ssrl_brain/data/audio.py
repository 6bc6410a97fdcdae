"""Reading parts of audio files of any rate and any number of channels."""

import numpy as np
import torch
import torchaudio

from ssrl_brain.data.audio_readers import AudioError
from ssrl_brain.data.decoding import open_audio, read_spans

REMEDY = "put the file back, or prepare again and use a new --output_folder"


def length_at(num_frames, sample_rate, target_rate):
    """Length in samples that a file has after resampling.

    Example
    -------
    >>> length_at(44100, 44100, 16000)
    16000
    """
    return int(num_frames) * int(target_rate) // int(sample_rate)


def read_excerpts(path, starts, length, num_frames, sample_rate, target_rate):
    """Reads excerpts of one file, opening it once.

    Positions count samples at ``target_rate``. Past the end the file starts
    again (repetition, never zeros), so that short utterances can serve.

    Arguments
    ---------
    path : str
    starts : iterable of int
        First sample of each excerpt.
    length : int
        Samples in each excerpt.
    num_frames, sample_rate : int
        Of the file, as the utterance table has them.
    target_rate : int
        Rate of the excerpts, in Hz.

    Returns
    -------
    numpy.ndarray
        (len(starts), length) float32; several channels are averaged.

    Raises
    ------
    ValueError
        If the file cannot be read, is shorter than the table says, or holds
        what is no number.
    """
    # Numbers of a table are of few bits, and their products of more.
    length, sample_rate, target_rate = map(
        int, (length, sample_rate, target_rate)
    )
    total = length_at(num_frames, sample_rate, target_rate)
    starts = [int(start) for start in starts]
    fits = [start + length <= total for start in starts]
    wanted = [
        (start, length) if fit else (0, total)
        for start, fit in zip(starts, fits, strict=True)
    ]
    spans = [span_of(*part, sample_rate, target_rate) for part in wanted]
    try:
        with open_audio(path) as audio:
            if audio.samplerate != sample_rate:
                raise AudioError(f"it has {audio.samplerate} Hz by now")
            found = read_spans(audio, spans)
    except (AudioError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read any more ({error}): {REMEDY}"
        ) from error
    excerpts = np.empty((len(starts), length), dtype=np.float32)
    for number, samples in enumerate(found):
        part = _at_rate(
            samples, wanted[number][1], sample_rate, target_rate, path
        )
        if not fits[number]:
            places = np.arange(starts[number], starts[number] + length)
            part = np.take(part, places, mode="wrap")
        excerpts[number] = part
    if not np.isfinite(excerpts).all():
        raise ValueError(f"{path} holds NaN or infinity by now: {REMEDY}")
    return excerpts


def span_of(start, length, sample_rate, target_rate):
    """First frame and number of frames that samples at another rate need.

    Arguments
    ---------
    start, length : int
        Samples at ``target_rate``.
    sample_rate : int
        Rate of the frames.
    target_rate : int

    Returns
    -------
    tuple of int

    Example
    -------
    >>> span_of(16000, 160, 44100, 16000)  # one more, for rounding
    (44100, 442)
    """
    first = start * sample_rate // target_rate
    count = -(-length * sample_rate // target_rate)
    return first, count + (sample_rate != target_rate)


def read_whole(path, num_frames, sample_rate, target_rate):
    """One whole file as mono samples, (T,) float32 at ``target_rate``."""
    total = length_at(num_frames, sample_rate, target_rate)
    return read_excerpts(
        path, [0], total, num_frames, sample_rate, target_rate
    )[0]


def _at_rate(samples, length, sample_rate, target_rate, path):
    """(length,) samples at ``target_rate`` of those that were read."""
    missing = 0
    if sample_rate != target_rate:
        samples = torchaudio.functional.resample(
            torch.from_numpy(samples), sample_rate, target_rate
        ).numpy()[:length]
        missing = 1  # may be lost to rounding at the end of the file
    if len(samples) < length - missing:
        raise ValueError(
            f"{path} is shorter than when it was prepared: {REMEDY}"
        )
    return np.pad(samples, (0, length - len(samples)), mode="edge")
