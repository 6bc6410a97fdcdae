"""Sound files of every kind, as other programs write them."""

import fractions

import av
import numpy as np
import soundfile


def speech(seconds=2.0, rate=16000, channels=1):
    """(T, channels) a buzz of changing pitch, with pauses and some noise."""
    generator = np.random.default_rng(0)
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(4.4 * time)) / rate
    harmonics = range(1, 1 + int(min(25, rate / 2 / 170)))
    wave = sum(np.sin(n * phase) / n for n in harmonics)
    wave = wave * (1 + np.sin(19 * time)) / 2
    wave += 0.1 * generator.standard_normal(len(time)) * (np.sin(8 * time) > 0)
    gains = np.linspace(1, 0.4, channels)
    return (0.3 / np.abs(wave).max() * wave[:, None] * gains).astype("f4")


def ffmpeg(path, codec, samples, rate, container=None, video=False, **options):
    """Encodes samples, (T, channels), with the FFmpeg of PyAV's wheel."""
    layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
    bit_rate = options.pop("bit_rate", None)
    with av.open(str(path), "w", container, options) as file:
        track = file.add_stream(codec, rate=rate, options=options)
        track.layout = layout
        if bit_rate:
            track.bit_rate = bit_rate
        if video:
            add_video(file, len(samples) / rate)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), format="fltp", layout=layout
        )
        frame.sample_rate = rate
        frame.pts, frame.time_base = 0, fractions.Fraction(1, rate)
        convert = av.AudioResampler(
            format=track.codec_context.format, layout=layout, rate=rate
        )
        for part in [*convert.resample(frame), None]:
            file.mux(track.encode(part))


def add_video(file, seconds):
    """A grey picture, ten times a second."""
    track = file.add_stream("mpeg4", rate=10)
    track.width, track.height, track.pix_fmt = 32, 32, "yuv420p"
    for number in range(int(10 * seconds)):
        picture = av.VideoFrame.from_ndarray(
            np.full((32, 32, 3), 128, np.uint8), format="rgb24"
        )
        picture.pts = number
        picture.time_base = fractions.Fraction(1, 10)
        file.mux(track.encode(picture))
    file.mux(track.encode(None))


def sndfile(path, samples, rate, subtype=None, format=None):
    """Encodes samples with libsndfile, in parts, for long ones crash it."""
    with soundfile.SoundFile(
        path, "w", rate, samples.shape[1], subtype, format=format
    ) as file:
        for start in range(0, len(samples), 50000):
            file.write(samples[start : start + 50000])


def by_sndfile(subtype=None, format=None):
    return lambda *args: sndfile(*args, subtype, format)


def by_ffmpeg(codec, container=None, **options):
    return lambda path, samples, rate: ffmpeg(
        path, codec, samples, rate, container, **options
    )


# What it is called -> (suffix, function of path, samples and rate).
KINDS = {
    "wav": (".wav", by_sndfile("PCM_16")),
    "float wav": (".wav", by_sndfile("FLOAT")),
    "mu-law": (".au", by_sndfile("ULAW")),
    "adpcm": (".wav", by_ffmpeg("adpcm_ms")),
    "gsm": (".wav", by_sndfile("GSM610")),
    "mp3 in wav": (".wav", by_ffmpeg("libmp3lame", "wav", bit_rate=24000)),
    "flac": (".flac", by_sndfile()),
    "flac of FFmpeg": (".flac", by_ffmpeg("flac")),
    "ogg": (".ogg", by_sndfile()),
    "opus": (".opus", by_sndfile("OPUS", "OGG")),
    "opus of FFmpeg": (".opus", by_ffmpeg("libopus", "ogg", bit_rate=16000)),
    "mp3": (".mp3", by_sndfile()),
    "mp3 of lame": (".mp3", by_ffmpeg("libmp3lame", bit_rate=8000)),
    "mp3 without a header": (".mp3", by_ffmpeg("libmp3lame", write_xing="0")),
    "m4a": (".m4a", by_ffmpeg("aac", bit_rate=32000)),
    "alac": (".m4a", by_ffmpeg("alac")),
    "aac": (".aac", by_ffmpeg("aac", "adts", bit_rate=32000)),
    "mp4 with pictures": (".mp4", by_ffmpeg("aac", video=True)),
    "webm": (".webm", by_ffmpeg("libopus", bit_rate=24000)),
    "3gp": (".3gp", by_ffmpeg("aac", "3gp")),
}
MONO_ONLY = ("gsm",)


def rate_of(kind, wanted=16000):
    """A rate that a kind can have, the wanted one if possible."""
    if kind in ("opus of FFmpeg", "webm"):
        return 48000
    if kind == "mp3 of lame":
        return 24000
    return wanted


def write(kind, folder, samples, rate):
    """Writes one kind into a folder; returns the path."""
    suffix, make = KINDS[kind]
    path = folder / f"{kind.replace(' ', '_')}{suffix}"
    make(path, samples, rate)
    return path


def decoded(path):
    """(T, channels) of a file decoded at once, by other means than ours."""
    try:
        with soundfile.SoundFile(path) as file:
            return file.read(file.frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        pass
    with av.open(str(path)) as file:
        parts = []
        convert = av.AudioResampler(format="flt")
        for frame in file.decode(audio=0):
            parts += convert.resample(frame)
        channels = parts[0].layout.nb_channels
        return np.concatenate(
            [part.to_ndarray().reshape(-1, channels) for part in parts]
        )
