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
import importlib.util
import os
import sys
import threading

import numpy as np
import soundfile

SUFFIXES = frozenset(
    ".wav .flac .ogg .oga .opus .mp3 .aiff .aif .aifc .au .snd .caf .w64 .rf64"
    " .sph".split()
)
FFMPEG_SUFFIXES = frozenset(
    ".m4a .m4b .mp4 .m4v .mov .3gp .aac .webm .weba .mkv .mka .wma .amr".split()
)
# No format that refers to other files or addresses, such as playlists.
FFMPEG_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf,amr"
INSTALL_FFMPEG = "pip install .[m4a]"
SEEKABLE = frozenset(
    "PCM_S8 PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ULAW ALAW IMA_ADPCM"
    " MS_ADPCM".split()
)  # FLAC is one of the first
BLOCK_FRAMES = 1 << 18
NO_LENGTH = 1 << 60  # libsndfile's answer for FLAC written to a pipe
_stderr_lock = threading.Lock()


class AudioError(ValueError):
    """Why a file cannot be decoded: one line without its path."""


def has_ffmpeg():
    """Whether the extra that reads ``FFMPEG_SUFFIXES`` is installed."""
    return importlib.util.find_spec("av") is not None


def open_audio(path):
    """Opens a file of any format.

    A file may be named wrongly: what its name promises is tried first.

    Arguments
    ---------
    path : str

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
    >>> path = str(getfixture("tmp_path") / "a.ogg")
    >>> soundfile.write(path, np.zeros((8000, 2)), 8000)
    >>> with open_audio(path) as audio:
    ...     audio.seekable(), audio.read(3).shape, audio.read(9999).shape
    (False, (3, 2), (7997, 2))
    """
    readers = [SndfileAudio, FFmpegAudio]
    if os.path.splitext(path)[1].lower() in FFMPEG_SUFFIXES:
        readers.reverse()
    try:
        return readers[0](path)
    except AudioError as error:
        open(path, "rb").close()  # the system's own words come first
        with contextlib.suppress(AudioError):
            return readers[1](path)
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


class SndfileAudio(soundfile.SoundFile):
    """What libsndfile reads, see ``open_audio``."""

    def __init__(self, path):
        with muted_stderr(), one_line_reason(path):
            super().__init__(path)

    @property
    def promised(self):
        """Number of frames by the header; None where that is a guess."""
        is_mp3 = self.subtype.startswith("MPEG_LAYER")
        if is_mp3 and not mp3_tells_its_length(self.name):
            return None
        return self.frames if self.frames < NO_LENGTH else None

    def seekable(self):
        """Only where it is exact.

        soundfile asks this, too: after every read of a seekable file it seeks
        to the place where it is, which some decoders do not survive.
        """
        return self.subtype in SEEKABLE and super().seekable()

    def read(self, count):
        """The next (n, channels) samples."""
        quiet = contextlib.nullcontext() if self.seekable() else muted_stderr()
        with quiet, one_line_reason(self.name):
            return super().read(count, dtype="float32", always_2d=True)


class FFmpegAudio:
    """First sound track of what FFmpeg reads, see ``open_audio``."""

    frames = promised = None  # true lengths differ by what a codec adds
    subtype = extra_info = ""

    def __init__(self, path):
        try:
            import av
        except ImportError as error:
            raise AudioError(f"{INSTALL_FFMPEG} reads it ({error})") from None
        self.errors = av.error.FFmpegError
        with one_line_reason(path, self.errors):
            self.container = av.open(
                f"file:{path}",
                options={"format_whitelist": FFMPEG_FORMATS},
                metadata_errors="replace",
            )
            tracks = self.container.streams.audio
            if not tracks:
                self.close()
                raise AudioError("it has no sound")
            self.samplerate = tracks[0].rate
            self.decoded = self.container.decode(tracks[0])
        self.ready, self.num_ready = [np.zeros((0, 1), np.float32)], 0
        try:
            frame = self._next_frame()
        except AudioError:
            self.close()
            raise
        if frame is not None:  # the header may tell half of the true rate
            self.samplerate = frame.sample_rate
            self.ready = [samples_of(frame)]
            self.num_ready = len(self.ready[0])

    def seekable(self):
        """Never: times of frames are not exact in all formats."""
        return False

    def read(self, count):
        """The next (n, channels) samples."""
        while self.num_ready < count:
            frame = self._next_frame()
            if frame is None:
                break
            self._add(frame)
        joined = np.concatenate(self.ready)
        self.ready = [joined[count:]]
        self.num_ready = len(self.ready[0])
        return joined[:count]

    def _next_frame(self):
        with one_line_reason(self.container.name, self.errors):
            return next(self.decoded, None)

    def _add(self, frame):
        """Keeps the samples of a frame until they are read."""
        samples = samples_of(frame)
        if samples.shape[1:] != self.ready[0].shape[1:] or (
            frame.sample_rate != self.samplerate
        ):
            raise AudioError("its sampling rate or channels change")
        self.ready.append(samples)
        self.num_ready += len(samples)

    def close(self):
        """Closes the file."""
        self.container.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def mp3_tells_its_length(path):
    """Whether the first frame of an MP3 has the tag with the number of frames.

    Without it the length is the size of the file over that frame's bit rate,
    which is anything where the rate varies.
    """
    with open(path, "rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3":  # a size of four times seven bits
            size = 0
            for byte in head[6:]:
                size = size << 7 | byte & 0x7F
            file.seek(10 + size)
        head = file.read(4096)
    return any(tag in head for tag in (b"Xing", b"Info", b"VBRI"))


def samples_of(frame):
    """(n, channels) float32 in [-1, 1] of a frame of PyAV."""
    samples = frame.to_ndarray()
    if frame.format.is_planar:
        samples = samples.T
    else:
        samples = samples.reshape(-1, frame.layout.nb_channels)
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    offset = half if samples.dtype.kind == "u" else 0
    return ((samples - offset) / half).astype(np.float32)


@contextlib.contextmanager
def one_line_reason(path, *errors):
    """Turns what libraries raise about a file into ``AudioError``."""
    try:
        yield
    except AudioError:
        raise
    except (ValueError, RuntimeError, OSError, *errors) as error:
        text = str(error)
        if getattr(error, "errno", None) is not None:
            text = error.strerror or text
        text = text.replace(os.fspath(path), "")
        text = text.replace("Error opening '': ", "")
        raise AudioError(" ".join(text.split()) or "damaged") from error


@contextlib.contextmanager
def muted_stderr():
    """Drops what a library writes to the standard error by itself.

    libmpg123, which libsndfile uses, prints a line about every oddity in an
    MP3 file and cannot be told not to.
    """
    if sys.__stderr__ is None:  # closed: any file may have its number
        yield
        return
    with _stderr_lock:
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
