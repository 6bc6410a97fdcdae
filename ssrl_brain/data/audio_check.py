"""Whether a file can be trained on, and how long it is."""

import re
from typing import NamedTuple

import numpy as np

from ssrl_brain.data.audio_readers import NO_LENGTH, AudioError
from ssrl_brain.data.decoding import blocks, mono, open_audio
from ssrl_brain.data.shards import size_and_time

EXCERPT_SECONDS = 0.1
MAX_LEVEL = 1e6  # of floats; the power of a sample must not overflow
LOST_SECONDS = 0.5  # by which a file may be shorter than it promises
# Programs that write to a pipe cannot know the length: they leave about 2 or
# 4 GB in the header, which promises nothing.
UNKNOWN_LENGTH = 0x7FFF0000
HEADER_BYTES = 64  # some programs count the header as well
CUT_OFF = re.compile(
    r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M
)


class AudioCheck(NamedTuple):
    """Length of a file, and why it cannot be used ("" if it can)."""

    num_frames: int
    sample_rate: int
    reason: str


def check_audio(path, min_seconds=1.0, silence_level=1e-4):
    """Reads as little of a file as tells whether it can be trained on.

    That is its end, and more where it is silent or made of floats. Compressed
    files are decoded as a whole, which alone tells their true length.

    Arguments
    ---------
    path : str
        Audio file.
    min_seconds : float
        Shorter files are refused.
    silence_level : float
        A file is silent if its samples, averaged over channels, never leave
        a band of this half-width (full scale is 1).

    Returns
    -------
    AudioCheck
    """
    try:
        if size_and_time(path)[0] == 0:
            return AudioCheck(0, 0, "empty")
        with open_audio(path) as audio:
            check = check_ends if audio.seekable() else check_decoded
            return check(audio, min_seconds, silence_level)
    except AudioError as error:
        return AudioCheck(0, 0, f"unreadable: {error}")
    except OSError as error:
        return AudioCheck(0, 0, f"unreadable: {error.strerror}")


def check_ends(audio, min_seconds, silence_level):
    """AudioCheck of an open file in which seeking is exact."""
    reason = reason_to_exclude(audio, min_seconds, silence_level)
    return AudioCheck(audio.frames, audio.samplerate, reason)


def check_decoded(audio, min_seconds, silence_level):
    """AudioCheck of an open file that is decoded as a whole."""
    num_frames, lowest, highest = extremes(audio)
    rate = audio.samplerate
    if num_frames == 0:
        reason = "empty"
    elif is_shorter_than_promised(audio, num_frames):
        reason = "truncated"
    elif num_frames < min_seconds * rate:
        reason = "too short"
    else:
        reason = reason_of(lowest, highest, silence_level)
    return AudioCheck(num_frames, rate, reason)


def is_shorter_than_promised(audio, num_frames):
    """Whether an open file has fewer frames than its header says."""
    lost = 0 if audio.promised is None else audio.promised - num_frames
    return lost > LOST_SECONDS * audio.samplerate or is_cut_off(
        audio.extra_info
    )


def reason_to_exclude(audio, min_seconds, silence_level):
    """Why a file in which seeking is exact is of no use; "" if it is."""
    if audio.frames == 0:
        return "empty"
    if audio.frames >= NO_LENGTH:
        return "unreadable: its header does not tell its length"
    length = min(audio.frames, max(1, int(EXCERPT_SECONDS * audio.samplerate)))
    try:
        tail = read_mono(audio, audio.frames - length, length)
    except (AudioError, RuntimeError):
        return "truncated"
    if len(tail) < length or is_cut_off(audio.extra_info):
        return "truncated"
    if audio.frames < min_seconds * audio.samplerate:
        return "too short"
    if audio.subtype not in ("FLOAT", "DOUBLE"):  # others have no NaN
        parts = (0.5, 0.25, 0.75, 0.0)
        excerpts = (
            read_mono(audio, int(part * (audio.frames - length)), length)
            for part in parts
        )
        for excerpt in (tail, *excerpts):
            if len(excerpt) and np.ptp(excerpt) >= 2 * silence_level:
                return ""
    audio.seek(0)
    return reason_of(*extremes(audio)[1:], silence_level)


def extremes(audio):
    """(frames, lowest, highest sample) of the rest of an open file.

    The latter two are NaN where a sample is.
    """
    num_frames, lowest, highest = 0, np.inf, -np.inf
    for place, block in blocks(audio):
        num_frames = place + len(block)
        lowest = np.minimum(lowest, block.min())
        highest = np.maximum(highest, block.max())
    return num_frames, lowest, highest


def reason_of(lowest, highest, silence_level):
    """Why samples between two values are of no use; "" if they are.

    Example
    -------
    >>> reason_of(-0.1, 0.1, 1e-4), reason_of(0.3, 0.3, 1e-4)
    ('', 'silent')
    """
    if not np.isfinite((lowest, highest)).all():
        return "NaN or infinite"
    if max(-lowest, highest) > MAX_LEVEL:
        return "far beyond full scale"
    return "silent" if highest - lowest < 2 * silence_level else ""


def read_mono(audio, start, length):
    """Average of the channels of an excerpt of an open file."""
    audio.seek(start)
    return mono(audio.read(length))


def is_cut_off(header_log):
    """Whether libsndfile found fewer samples than the header promises.

    Example
    -------
    >>> is_cut_off("data : 64000 (should be 38382)")
    True
    >>> is_cut_off("data : 4294967295 (should be 64000)")
    False
    """
    found = CUT_OFF.search(header_log)
    if found is None:
        return False
    promised, present = map(int, found.groups())
    return present + HEADER_BYTES < promised < UNKNOWN_LENGTH
