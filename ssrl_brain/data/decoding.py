"""Decoding audio files of any format, each excerpt from its true place.

Uncompressed files and FLAC are read where an excerpt lies. Everything else is
decoded from its beginning up to the end of the last excerpt, for seeking is
not exact there, in a handle that was opened afresh neither: libsndfile returns
other samples of Vorbis, and of MP3, whose frames borrow bits from earlier ones
(about which it prints a line each time), nearly the same ones of Opus, or
those of 312 samples later where a file has no time stamps; raw AAC and WebM
have no exact times. Decoding takes 1 to 30 ms for a file of 8 s, see
``benchmarks/compressed_audio.py``.

libsndfile comes first. What it does not know (m4a, mp4, webm ...) is read with
PyAV, an extra whose wheels bring FFmpeg along.
"""

import contextlib
import os

import numpy as np

from ssrl_brain.data.audio_readers import (
    FFMPEG_SUFFIXES,
    AudioError,
    FFmpegAudio,
    SndfileAudio,
)
from ssrl_brain.data.shards import open_member

BLOCK_FRAMES = 1 << 18


def open_audio(path):
    """Opens a file of any format.

    A file may be named wrongly: what its name promises is tried first.

    Arguments
    ---------
    path : str
        Of a file, or the place of a member of a tar, see ``shards``.

    Returns
    -------
    SndfileAudio or FFmpegAudio
        A context manager with ``samplerate``; ``frames``, the length by the
        header, None if it has none; ``read(count)``, the next (n, channels)
        samples as float32, fewer at the end only; and ``seekable()``, whether
        ``seek(frame)`` is there and exact.

    Raises
    ------
    AudioError
        If it is no audio.
    OSError
        If the system does not open it.

    Example
    -------
    >>> import soundfile
    >>> path = str(getfixture("tmp_path") / "a.ogg")
    >>> soundfile.write(path, np.zeros((8000, 2)), 8000)
    >>> with open_audio(path) as audio:
    ...     audio.seekable(), audio.read(3).shape, audio.read(9999).shape
    (False, (3, 2), (7997, 2))
    """
    readers = [SndfileAudio, FFmpegAudio]
    if os.path.splitext(path)[1].lower() in FFMPEG_SUFFIXES:
        readers.reverse()
    member = open_member(path)
    try:
        return readers[0](member or path)
    except AudioError as error:
        if member is None:
            open(path, "rb").close()  # the system's own words come first
        else:
            member.seek(0)
        with contextlib.suppress(AudioError):
            return readers[1](member or path)
        raise error


def read_spans(audio, spans):
    """Excerpts of a file that was opened and not yet read.

    Arguments
    ---------
    audio : SndfileAudio or FFmpegAudio
    spans : list of tuple
        First frame and number of frames of each excerpt.

    Returns
    -------
    list of numpy.ndarray
        (n,) float32, the average of the channels; shorter where the file ends
        before the excerpt does.

    Example
    -------
    >>> import soundfile
    >>> path = str(getfixture("tmp_path") / "a.wav")
    >>> soundfile.write(path, np.arange(8) / 16, 8000)
    >>> with open_audio(path) as audio:
    ...     [
    ...         (16 * part).tolist()
    ...         for part in read_spans(audio, [(6, 9), (1, 2)])
    ...     ]
    [[6.0, 7.0], [1.0, 2.0]]
    """
    if audio.seekable():
        found = []
        for first, count in spans:
            audio.seek(min(first, audio.frames))
            found.append(mono(audio.read(count)))
        return found
    found = [[np.zeros(0, np.float32)] for _ in spans]
    end = max((first + count for first, count in spans), default=0)
    for place, block in blocks(audio, end):
        for parts, (first, count) in zip(found, spans, strict=True):
            start = max(0, first - place)
            parts.append(block[start : max(start, first + count - place)])
    return [np.concatenate(parts) for parts in found]


def blocks(audio, end=None):
    """Yields (frame, (n,) average of the channels) from the beginning on."""
    place = 0
    while end is None or place < end:
        count = BLOCK_FRAMES if end is None else min(BLOCK_FRAMES, end - place)
        block = audio.read(count)
        if not len(block):
            return
        yield place, mono(block)
        place += len(block)


def read_all(audio):
    """(n, channels) samples of a file that was opened and not yet read."""
    parts = [audio.read(BLOCK_FRAMES)]
    while len(parts[-1]):
        parts.append(audio.read(BLOCK_FRAMES))
    return np.concatenate(parts)


def mono(samples):
    """(n,) average of (n, channels); no warning about NaN and infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        return samples.mean(1)
