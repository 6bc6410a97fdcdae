"""What libsndfile and FFmpeg read, behind one interface.

A reader is given a path, or a file object that has one as its ``name``. It is a
context manager with ``samplerate``; ``frames``, the length by the header, and
``promised``, the same where it is to be relied on, both None if there is none;
``read(count)``, the next (n, channels) samples as float32, fewer at the end
only; and ``seekable()``, whether ``seek(frame)`` is there and exact.
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
NO_LENGTH = 1 << 60  # libsndfile's answer for FLAC written to a pipe
_stderr_lock = threading.Lock()


class AudioError(ValueError):
    """Why a file cannot be decoded: one line without its path."""


def has_ffmpeg():
    """Whether the extra that reads ``FFMPEG_SUFFIXES`` is installed."""
    return importlib.util.find_spec("av") is not None


class SndfileAudio(soundfile.SoundFile):
    """What libsndfile reads, see ``open_audio``."""

    def __init__(self, file):
        with muted_stderr(), one_line_reason(file):
            super().__init__(file)

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

    def __init__(self, file):
        try:
            import av
        except ImportError as error:
            raise AudioError(f"{INSTALL_FFMPEG} reads it ({error})") from None
        self.errors = av.error.FFmpegError
        with one_line_reason(file, self.errors):
            self.container = av.open(
                file if hasattr(file, "read") else f"file:{file}",
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


def mp3_tells_its_length(file):
    """Whether the first frame of an MP3 has the tag with the number of frames.

    Without it the length is the size of the file over that frame's bit rate,
    which is anything where the rate varies. A file object is left where it is.
    """
    if not hasattr(file, "read"):
        with open(file, "rb") as opened:
            return mp3_tells_its_length(opened)
    before = file.tell()
    file.seek(0)
    head = file.read(10)
    if head[:3] == b"ID3":  # a size of four times seven bits
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        file.seek(10 + size)
    head = file.read(4096)
    file.seek(before)
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
def one_line_reason(file, *errors):
    """Turns what libraries raise about a file into ``AudioError``."""
    try:
        yield
    except AudioError:
        raise
    except (ValueError, RuntimeError, OSError, *errors) as error:
        text = str(error)
        if getattr(error, "errno", None) is not None:
            text = error.strerror or text
        text = text.replace(f"Error opening {file!r}: ", "")
        text = text.replace(os.fspath(getattr(file, "name", file)), "")
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
