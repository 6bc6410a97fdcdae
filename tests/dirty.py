"""Bad files of every kind we could think of, and what each gets.

``docs/data.md`` has the same table in words; a test keeps them together.
"""

import os
from typing import NamedTuple

import numpy as np
import soundfile
import sounds

RATE = 16000
USED = "used"
IGNORED = "ignored"


class Kind(NamedTuple):
    """What the table says, a function that writes the file, its outcome.

    ``outcome`` is "used", "ignored", or the beginning of the reason in
    ``excluded.csv``.
    """

    words: str
    make: object
    outcome: str
    name: str = "file.wav"


def voice(seconds=2.0, rate=RATE):
    """(T,) something that is not silent."""
    time = np.arange(int(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * 150 * time) * (1 + np.sin(20 * time)) / 4
    return wave + 0.01 * np.random.default_rng(0).standard_normal(len(time))


def audio(wave=None, rate=RATE, **options):
    """A function that writes samples."""
    wave = voice(rate=rate) if wave is None else wave
    options = {"subtype": "PCM_16", "format": "WAV", **options}

    def make(path):
        with open(path, "wb") as file:  # of any name
            soundfile.write(file, wave, rate, **options)

    return make


def cut(share):
    """A function that writes the first part of a file."""

    def make(path):
        audio()(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return make


def with_samples(value):
    """A function that writes floats, one of them odd."""
    wave = voice()
    wave[1000] = value
    return audio(wave, subtype="FLOAT")


def one_hour(path):
    """Mostly a hole in the file, as far as the disk is concerned."""
    num_frames = 3600 * 8000
    audio(voice(1, 8000), 8000)(path)
    content = bytearray(path.read_bytes())
    content[40:44] = (2 * num_frames).to_bytes(4, "little")
    content[4:8] = (2 * num_frames + 36).to_bytes(4, "little")
    with open(path, "wb") as file:
        file.write(content)
        file.seek(44 + 2 * num_frames - len(content[44:]))
        file.write(content[44:])


def mp3(path):
    """Such as libsndfile writes."""
    sounds.sndfile(path, sounds.speech(2, RATE), RATE, "MPEG_LAYER_III", "MP3")


def ffmpeg(codec, container=None, rate=RATE, **options):
    """A function that writes what FFmpeg does."""
    return lambda path: sounds.ffmpeg(
        path, codec, sounds.speech(2, rate), rate, container, **options
    )


def video(path):
    """Pictures only."""
    with sounds.av.open(str(path), "w") as file:
        sounds.add_video(file, 2)


def half(make):
    """A function that writes the first half of a file."""

    def cut_file(path):
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])

    return cut_file


def spoilt(make):
    """A function that writes a file with some bytes that are wrong."""

    def spoil(path):
        make(path)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 300] = noise()[:300]
        path.write_bytes(content)

    return spoil


def noise():
    """Bytes of no format."""
    return np.random.default_rng(0).bytes(20000)


def link_to(target):
    """A function that makes a symbolic link."""
    return lambda path: path.symlink_to(target)


def folder(path):
    """A folder that is named like a file."""
    path.mkdir()


KINDS = [
    Kind("zero bytes", lambda path: path.touch(), "empty"),
    Kind("header without samples", audio(np.zeros(0)), "empty"),
    Kind("truncated header", cut(20 / 64044), "unreadable: "),
    Kind("truncated body", cut(0.6), "truncated"),
    Kind("text", lambda path: path.write_text("no audio"), "unreadable: "),
    Kind(
        "random bytes", lambda path: path.write_bytes(noise()), "unreadable: "
    ),
    Kind("flac named .wav", audio(format="FLAC"), USED),
    Kind("wav named .mp3", audio(), USED, "file.mp3"),
    Kind("ogg", audio(format="OGG", subtype="VORBIS"), USED, "file.ogg"),
    Kind("opus", audio(format="OGG", subtype="OPUS"), USED, "file.opus"),
    Kind("mp3", mp3, USED, "file.mp3"),
    Kind("mp3, the second half gone", half(mp3), "truncated", "file.mp3"),
    Kind("mp3, noise in its middle", spoilt(mp3), USED, "file.mp3"),
    Kind("m4a", ffmpeg("aac"), USED, "file.m4a"),
    Kind("m4a named .mp3", ffmpeg("aac", "ipod"), USED, "file.mp3"),
    Kind(
        "m4a, the second half gone",
        half(ffmpeg("aac")),
        "unreadable: ",
        "file.m4a",
    ),
    Kind("raw aac", ffmpeg("aac"), USED, "file.aac"),
    Kind("webm", ffmpeg("libopus", rate=48000), USED, "file.webm"),
    Kind("video with sound", ffmpeg("aac", video=True), USED, "file.mp4"),
    Kind("video without sound", video, "unreadable: ", "file.mp4"),
    Kind(
        "random bytes named .mp4",
        lambda path: path.write_bytes(noise()),
        "unreadable: ",
        "file.mp4",
    ),
    Kind("8 kHz", audio(rate=8000), USED),
    Kind("44.1 kHz", audio(rate=44100), USED),
    Kind("48 kHz", audio(rate=48000), USED),
    Kind("stereo", audio(np.stack([voice(), -voice() / 2], 1)), USED),
    Kind(
        "opposite channels", audio(np.stack([voice(), -voice()], 1)), "silent"
    ),
    Kind("24 bits", audio(subtype="PCM_24"), USED),
    Kind("floats", audio(subtype="FLOAT"), USED),
    Kind(
        "floats in the range of 16 bits",
        audio(3e4 * voice(), subtype="FLOAT"),
        USED,
    ),
    Kind("floats of 1e20", with_samples(1e20), "far beyond full scale"),
    Kind("NaN", with_samples(np.nan), "NaN or infinite"),
    Kind("infinity", with_samples(np.inf), "NaN or infinite"),
    Kind("all zeros", audio(np.zeros(2 * RATE)), "silent"),
    Kind("an offset alone", audio(np.full(2 * RATE, 0.3)), "silent"),
    Kind("an offset and speech", audio(0.3 + 0.3 * voice()), USED),
    Kind("clipped", audio(np.clip(50 * voice(), -1, 1)), USED),
    Kind("one sample", audio(np.ones(1)), "too short"),
    Kind("one hour, silent but for two seconds", one_hour, USED),
    Kind("Unicode in the name", audio(), USED, "Ünï 声 😀.wav"),
    Kind("space, comma, quote", audio(), USED, 'a b, "c".wav'),
    Kind("newline in the name", audio(), "name cannot be", "two\nlines.wav"),
    Kind(
        "name not in UTF-8", audio(), "name cannot be", os.fsdecode(b"\xff.wav")
    ),
    Kind("names that differ in case", audio(), USED, "FILE.WAV"),
    Kind("many dots in the name", audio(), USED, "a..wav..b.wav"),
    Kind("link to itself", link_to("file.wav"), "unreadable: Too many"),
    Kind("link to nothing", link_to("gone"), "unreadable: No such file"),
    Kind("hidden file", audio(), IGNORED, ".file.wav"),
    Kind("folder named .wav", folder, IGNORED),
    Kind("named pipe", os.mkfifo, "empty"),
]


def make_corpus(root):
    """Writes one folder for every kind; returns {path in ``root``: Kind}."""
    made = {}
    for number, kind in enumerate(KINDS):
        path = root / f"{number:02d}" / kind.name
        path.parent.mkdir(parents=True)
        kind.make(path)
        made[path.relative_to(root).as_posix()] = kind
        if kind.name == "FILE.WAV":
            audio(0.5 * voice())(path.with_name("file.wav"))
    (root / "loop").symlink_to(root, target_is_directory=True)
    return made
