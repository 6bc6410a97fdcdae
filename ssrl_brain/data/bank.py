"""Audio banks: many short clips in one memory-mapped file.

Noise and room responses are decoded and resampled once; training then reads
random excerpts without opening a file.
"""

import functools
import json
import math
import os
import pathlib

import numpy as np
from scipy.signal import resample_poly

from ssrl_brain.data.audio_readers import AudioError
from ssrl_brain.data.decoding import open_audio, read_all
from ssrl_brain.data.preparation import parallel_map

FULL_SCALE = 32767


class AudioBank:
    """Clips of a bank folder, read from disk as they are asked for.

    Arguments
    ---------
    folder : str or pathlib.Path
        Folder that ``write_bank`` made.

    Raises
    ------
    FileNotFoundError
        If the folder is not a bank.

    Example
    -------
    >>> import soundfile
    >>> tmpdir = getfixture("tmp_path")
    >>> soundfile.write(tmpdir / "hum.wav", [0.5, -0.5, 0.25], 16000)
    >>> write_bank(tmpdir / "bank", [tmpdir / "hum.wav"], ["ambient"])
    >>> bank = AudioBank(tmpdir / "bank")
    >>> bank.num_clips, bank.indices_of("ambient"), bank.indices_of("music")
    (1, array([0]), array([], dtype=int64))
    >>> bank.excerpt(0, start=1, length=5).round(2)
    array([-0.5 ,  0.25,  0.5 , -0.5 ,  0.25], dtype=float32)
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not (self.folder / "bank.json").is_file():
            raise FileNotFoundError(
                f"{folder} is not an audio bank (it has no bank.json):"
                " prepare again with the folder of noise or room responses"
            )
        description = json.loads(
            (self.folder / "bank.json").read_text(encoding="utf-8")
        )
        self.sample_rate = description["sample_rate"]
        self.kinds = description["kinds"]
        self.names = description["names"]
        self.kind_of_clip = np.array(description["kind_of_clip"], dtype=int)
        self.offsets = np.load(self.folder / "offsets.npy", allow_pickle=False)
        self.samples = np.load(
            self.folder / "samples.npy", mmap_mode="r", allow_pickle=False
        )
        if len(self.samples) != self.offsets[-1]:
            raise ValueError(
                f"{folder} is damaged: samples.npy has {len(self.samples)}"
                f" samples, offsets.npy says {self.offsets[-1]}; prepare again"
            )

    def __reduce__(self):  # a loader's worker maps the file, never copies it
        return AudioBank, (self.folder,)

    @property
    def num_clips(self):
        """Number of clips."""
        return len(self.offsets) - 1

    def indices_of(self, kind):
        """Indices of the clips of one kind; empty if the bank has none."""
        if kind not in self.kinds:
            return np.zeros(0, dtype=int)
        return np.flatnonzero(self.kind_of_clip == self.kinds.index(kind))

    def length(self, index):
        """Number of samples of a clip."""
        return int(self.offsets[index + 1] - self.offsets[index])

    def clip(self, index):
        """A whole clip, float32 in [-1, 1]."""
        return self.excerpt(index, 0, self.length(index))

    def excerpt(self, index, start, length):
        """Part of a clip, which repeats itself for as long as needed.

        Arguments
        ---------
        index : int
            Which clip.
        start : int
            First sample; taken modulo the length of the clip.
        length : int
            Number of samples.

        Returns
        -------
        np.ndarray
            (length,) float32 in [-1, 1].
        """
        first, size = int(self.offsets[index]), self.length(index)
        start = start % size
        if start + length <= size:
            part = self.samples[first + start : first + start + length]
        else:
            wrapped = (start + np.arange(length)) % size
            part = self.samples[first : first + size][wrapped]
        return part.astype(np.float32) / FULL_SCALE


def average_channels(samples):
    """Mono from (frames, channels); what exceeds full scale is scaled down."""
    mono = samples.mean(1)
    return mono / max(1.0, np.abs(mono).max(initial=0.0))


def impulse_response(samples):
    """First channel of (frames, channels), its largest value made 1.

    Only the shape of a room response matters, and 16 bits hold a response at
    full scale best. Averaging microphones would filter it like a comb.
    """
    first = samples[:, 0]
    return first / max(np.abs(first).max(initial=0.0), np.finfo("f4").tiny)


def decode(path, sample_rate, mix):
    """Reads a file as 16-bit mono; a one-line reason where that fails.

    Returns
    -------
    np.ndarray or str
        (num_samples,) int16, or why the file is of no use.
    """
    try:
        if os.path.getsize(path) == 0:
            return "empty"
        with open_audio(os.fspath(path)) as audio:
            samples, rate = read_all(audio), audio.samplerate
    except AudioError as error:
        return f"unreadable: {error}"
    except OSError as error:
        return f"unreadable: {error.strerror}"
    if not len(samples):
        return "empty"
    if not np.isfinite(samples).all():
        return "NaN or infinite"
    mono = mix(samples)
    if rate != sample_rate:
        common = math.gcd(rate, sample_rate)
        mono = resample_poly(mono, sample_rate // common, rate // common)
    mono = mono / max(1.0, np.abs(mono).max())  # resampling overshoots
    clip = np.round(mono * FULL_SCALE).astype("<i2")
    return clip if clip.any() else "silent"


def write_bank(
    folder,
    files,
    kinds,
    sample_rate=16000,
    num_workers=None,
    description="Decoding",
    root=None,
    mix=average_channels,
):
    """Decodes files into a bank, one after the other onto the disk.

    Files of no use are left out and named in ``bank.json``.

    Arguments
    ---------
    folder : str or pathlib.Path
        Where to write; made if need be.
    files : list of (str or pathlib.Path)
        Audio in any format and rate.
    kinds : list of str
        Kind of each file, e.g. "ambient", "music", "speech".
    sample_rate : int
        Rate of the bank in Hz.
    num_workers : int, optional
        Number of processes; default: all processors.
    description : str
        Text before the progress bar.
    root : str or pathlib.Path, optional
        Names of clips are relative to it; default: names as in ``files``.
    mix : callable
        (frames, channels) -> (frames,); ``average_channels`` for noise,
        ``impulse_response`` for rooms.

    Raises
    ------
    ValueError
        If no file could be used.
    """
    if len(files) != len(kinds):
        raise ValueError(f"{len(files)} files but {len(kinds)} kinds of them")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = sorted(set(kinds))
    names = [
        os.path.relpath(file, root) if root else os.fspath(file)
        for file in files
    ]
    used, lengths, excluded = [], [], []
    read = functools.partial(decode, sample_rate=sample_rate, mix=mix)
    clips = parallel_map(read, files, num_workers, description, chunk=1)
    with open(folder / "samples.npy", "wb") as file:
        write_header(file, 0)
        for index, clip in enumerate(clips):
            if isinstance(clip, str):
                excluded.append([names[index], clip])
                continue
            file.write(clip.tobytes())
            used.append(index)
            lengths.append(len(clip))
        file.seek(0)
        write_header(file, sum(lengths))
    if not used:
        reasons = f", e.g. {excluded[0][0]}: {excluded[0][1]}" if names else ""
        raise ValueError(f"no usable audio for {folder.name}{reasons}")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    np.save(folder / "offsets.npy", offsets)
    contents = {
        "sample_rate": sample_rate,
        "kinds": known,
        "kind_of_clip": [known.index(kinds[index]) for index in used],
        "names": [names[index] for index in used],
        "excluded": excluded,
    }
    (folder / "bank.json").write_text(
        json.dumps(contents, indent=1) + "\n", encoding="utf-8"
    )


def write_header(file, num_samples):
    """Header of a one-dimensional int16 .npy file, always of 128 bytes.

    The length is only known at the end, when the header is written again.
    """
    header = f"{{'descr': '<i2', 'fortran_order': False, 'shape': ({num_samples},), }}"
    text = header.ljust(128 - 10 - 1) + "\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little"))
    file.write(text.encode("ascii"))
