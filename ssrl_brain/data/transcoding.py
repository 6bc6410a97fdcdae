"""One file decoded to another: mono, 16 bits, at a given rate."""

import contextlib
import errno
import math
import os

import numpy as np
import soundfile
from scipy.signal import resample_poly

from ssrl_brain.data.audio_check import MAX_LEVEL, is_shorter_than_promised
from ssrl_brain.data.audio_readers import AudioError
from ssrl_brain.data.decoding import blocks, open_audio
from ssrl_brain.data.shards import size_and_time
from ssrl_brain.system.files import naming_failed_writes

DONE_BEFORE = None
SAME_TIME = 2_000_000_000  # ns; some disks keep times no better


def convert_file(job, sample_rate):
    """Decodes one file, unless that was done.

    Arguments
    ---------
    job : tuple of str
        The original, and what to write; its suffix tells the format.
    sample_rate : int

    Returns
    -------
    str or None
        "" if it was converted, ``DONE_BEFORE``, or why it cannot be.

    Raises
    ------
    OSError
        If the result cannot be written.
    """
    source, target = job
    try:
        size, changed = size_and_time(source)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if is_current(target, changed):
        return DONE_BEFORE
    if size == 0:
        return "empty"
    folder_name, name = os.path.split(target)
    partial = os.path.join(folder_name, f".{name}.partial")
    with naming_failed_writes(target):
        os.makedirs(folder_name, exist_ok=True)
        try:
            decode_to(partial, target, source, sample_rate)
            os.utime(partial, ns=(changed, changed))
            os.replace(partial, target)
        except AudioError as error:
            return str(error)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
    return ""


def is_current(target, changed):
    """Whether a file was made of an original that has not changed since."""
    try:
        made = os.stat(target).st_mtime_ns
    except FileNotFoundError:
        return False
    return abs(made - changed) < SAME_TIME


def decode_to(partial, target, source, sample_rate):
    """Writes an original; raises AudioError with the reason if it cannot.

    What exceeds full scale is written once more, scaled down to it.
    """
    gain = 1.0
    while True:
        try:
            audio = open_audio(source)
        except AudioError as error:
            raise AudioError(f"unreadable: {error}") from error
        except OSError as error:
            raise AudioError(f"unreadable: {error.strerror}") from error
        with audio:
            peak = write_resampled(partial, target, audio, sample_rate, gain)
        if peak <= 1:
            return
        gain /= peak * (1 + 1e-6)


def write_resampled(partial, target, audio, sample_rate, gain):
    """Writes an open file; returns the largest value before it was clipped."""
    num_frames, peak = 0, 0.0

    def sound():
        nonlocal num_frames
        for place, block in reasoned(blocks(audio)):
            num_frames = place + len(block)
            yield gain * block

    format = os.path.splitext(target)[1][1:]
    try:
        with soundfile.SoundFile(
            partial, "w", sample_rate, 1, "PCM_16", format=format
        ) as file:
            for block in resampled(sound(), audio.samplerate, sample_rate):
                peak = max(peak, level_of(block))
                file.write(block)
    except (RuntimeError, AssertionError) as error:  # libsndfile's, soundfile's
        raise OSError(
            errno.EIO, "cannot be written, is the disk full?", target
        ) from error
    if num_frames == 0:
        raise AudioError("empty")
    if is_shorter_than_promised(audio, num_frames):
        raise AudioError("truncated")
    return peak


def level_of(block):
    """Largest absolute value; AudioError if that makes no sense."""
    level = float(np.abs(block).max(initial=0.0))
    if not math.isfinite(level):
        raise AudioError("NaN or infinite")
    if level > MAX_LEVEL:
        raise AudioError("far beyond full scale")
    return level


def reasoned(parts):
    """The same parts; an AudioError among them as preparation words it."""
    try:
        yield from parts
    except AudioError as error:
        raise AudioError(f"unreadable: {error}") from error


def resampled(parts, sample_rate, target_rate):
    """Resamples a signal that comes in parts, as if it were in one.

    Arguments
    ---------
    parts : iterable of numpy.ndarray
        (n,) float32 each.
    sample_rate, target_rate : int

    Yields
    ------
    numpy.ndarray
        Parts of what ``scipy.signal.resample_poly`` makes of the whole.

    Example
    -------
    >>> parts = [np.ones(3, np.float32), np.ones(5, np.float32)]
    >>> sum(len(part) for part in resampled(parts, 16000, 8000))
    4
    """
    common = math.gcd(sample_rate, target_rate)
    up, down = target_rate // common, sample_rate // common
    if up == down:
        yield from parts
        return
    # The filter reaches over 10 periods of the lower rate; whole periods of
    # both rates keep each part where it belongs.
    reach = -(-10 * max(up, down) // up)
    reach = (reach // down + 1) * down
    skipped = reach * up // down
    kept = np.zeros(reach, np.float32)
    num_frames = num_made = 0
    for part in parts:
        num_frames += len(part)
        kept = np.concatenate([kept, part])
        ready = (len(kept) - 2 * reach) // down * down
        if ready <= 0:
            continue
        made = resample_poly(kept[: ready + 2 * reach], up, down)
        yield made[skipped : skipped + ready * up // down]
        num_made += ready * up // down
        kept = kept[ready:]
    made = resample_poly(np.pad(kept, (0, reach)), up, down)[skipped:]
    yield made[: -(-num_frames * up // down) - num_made]
