"""Reading parts of audio files of any rate and any number of channels."""

import numpy as np
import soundfile
import torch
import torchaudio

REMEDY = "put the file back, or prepare again and use a new --output_folder"


def length_at(num_frames, sample_rate, target_rate):
    """Length in samples that a file has after resampling.

    Example
    -------
    >>> length_at(44100, 44100, 16000)
    16000
    """
    return int(num_frames) * target_rate // int(sample_rate)


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
    total = length_at(num_frames, sample_rate, target_rate)
    starts = list(starts)
    excerpts = np.empty((len(starts), length), dtype=np.float32)
    try:
        with soundfile.SoundFile(path) as file:
            for excerpt, start in zip(excerpts, starts, strict=True):
                if start + length <= total:
                    excerpt[:] = _read(
                        file, start, length, sample_rate, target_rate
                    )
                else:
                    whole = _read(file, 0, total, sample_rate, target_rate)
                    excerpt[:] = np.take(
                        whole, np.arange(start, start + length), mode="wrap"
                    )
    except (soundfile.LibsndfileError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read any more ({error}): {REMEDY}"
        ) from error
    if not np.isfinite(excerpts).all():
        raise ValueError(f"{path} holds NaN or infinity by now: {REMEDY}")
    return excerpts


def read_whole(path, num_frames, sample_rate, target_rate):
    """One whole file as mono samples, (T,) float32 at ``target_rate``."""
    total = length_at(num_frames, sample_rate, target_rate)
    return read_excerpts(
        path, [0], total, num_frames, sample_rate, target_rate
    )[0]


def _read(file, start, length, sample_rate, target_rate):
    """(length,) samples at ``target_rate`` from an open file."""
    first = start * sample_rate // target_rate
    count = -(-length * sample_rate // target_rate) + (
        sample_rate != target_rate
    )
    file.seek(min(first, file.frames))
    samples = file.read(count, dtype="float32", always_2d=True).mean(axis=1)
    if sample_rate != target_rate:
        samples = torchaudio.functional.resample(
            torch.from_numpy(samples), sample_rate, target_rate
        ).numpy()[:length]
    # One sample may be lost to rounding at the end of a resampled file.
    missing = length - len(samples)
    if missing > 1:
        raise ValueError(
            f"{file.name} is shorter than when it was prepared: {REMEDY}"
        )
    return np.pad(samples, (0, missing), mode="edge") if missing else samples
