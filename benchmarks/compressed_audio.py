"""Ways to read an excerpt of a compressed file: right or wrong, and how fast.

    OMP_NUM_THREADS=1 python benchmarks/compressed_audio.py

Per format: how many of 40 excerpts of 10 s differ from the file decoded at
once when libsndfile seeks in a handle that was read before, or in a fresh one,
and how many lines libmpg123 then prints; milliseconds for an excerpt of 3 s
from the middle of 8 s and of 10 min when a fresh handle seeks, when the file is
decoded from its beginning (what this package does), and when PyAV decodes it
from there. One JSON line a format.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from common import ROOT, report, seconds_each

from ssrl_brain.data import audio_readers
from ssrl_brain.data.audio_readers import FFmpegAudio, SndfileAudio
from ssrl_brain.data.decoding import read_spans

sys.path.append(str(ROOT / "tests"))
import sounds  # noqa: E402

KINDS = (
    "wav",
    "flac",
    "ogg",
    "opus",
    "opus of FFmpeg",
    "mp3",
    "mp3 of lame",
    "mp3 in wav",
    "m4a",
    "webm",
)
NUM_EXCERPTS = 40


def lines_printed(function):
    """(value of a function, lines it left on the standard error)"""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            value = function()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        return value, file.read().count(b"\n")


def wrong_excerpts(path, fresh):
    """How many excerpts by seeking differ from the whole."""
    generator = np.random.default_rng(1)
    whole = sounds.decoded(path)
    wrong, file = 0, soundfile.SoundFile(path)
    for _ in range(NUM_EXCERPTS):
        length = int(generator.integers(1, len(whole) // 4))
        start = int(generator.integers(len(whole) - length))
        if fresh:
            file.close()
            file = soundfile.SoundFile(path)
        file.seek(start)
        found = file.read(length, dtype="float32", always_2d=True)
        wanted = whole[start : start + length]
        wrong += len(found) < length or np.abs(found - wanted).max() > 1e-5
    file.close()
    return int(wrong)


def by_seeking(path, start, length):
    with soundfile.SoundFile(path) as file:
        file.seek(start)
        file.read(length, dtype="float32")


def by_decoding(reader, path, start, length):
    with reader(path) as audio:
        read_spans(audio, [(start, length)])


def milliseconds(function, *arguments):
    """Least of some times."""
    times = seconds_each(lambda: function(*arguments), 1, 5)
    return round(1000 * min(times), 2)


def main():
    """Prints a line for each format."""
    audio_readers.FFMPEG_FORMATS += ",ogg,mp3,flac,wav"  # for comparison only
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            rate = sounds.rate_of(kind)
            figures = {"format": kind}
            by_sndfile = kind not in ("m4a", "webm")
            path = sounds.write(
                kind, Path(folder), sounds.speech(10, rate), rate
            )
            if by_sndfile:
                for name, fresh in (("fresh", True), ("used", False)):
                    wrong, lines = lines_printed(
                        lambda fresh=fresh, path=path: wrong_excerpts(
                            path, fresh
                        )
                    )
                    figures[f"wrong_{name}"] = wrong
                    figures[f"lines_{name}"] = lines
            for seconds in (8, 600):
                path = sounds.write(
                    kind, Path(folder), sounds.speech(seconds, rate), rate
                )
                place = str(path), seconds * rate // 2, 3 * rate
                if by_sndfile:
                    figures[f"ms_seek_{seconds}s"], _ = lines_printed(
                        lambda place=place: milliseconds(by_seeking, *place)
                    )
                    figures[f"ms_decode_{seconds}s"] = milliseconds(
                        by_decoding, SndfileAudio, *place
                    )
                if kind not in ("wav", "flac", "mp3 in wav"):
                    figures[f"ms_pyav_{seconds}s"] = milliseconds(
                        by_decoding, FFmpegAudio, *place
                    )
            report("compressed_audio", **figures)


if __name__ == "__main__":
    main()
