"""Every format: excerpts lie where the file, decoded at once, has them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import sounds
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data import audio_files, decoding
from ssrl_brain.data.audio import read_excerpts, read_whole
from ssrl_brain.data.audio_check import check_audio
from ssrl_brain.data.audio_readers import AudioError, muted_stderr
from ssrl_brain.data.decoding import open_audio, read_spans


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{kind: (path, rate, (T,) the file decoded at once)}"""
    folder, found = tmp_path_factory.mktemp("formats"), {}
    for kind in sounds.KINDS:
        rate = sounds.rate_of(kind)
        channels = 1 if kind in sounds.MONO_ONLY else 2
        samples = sounds.speech(3, rate, channels)
        path = str(sounds.write(kind, folder, samples, rate))
        found[kind] = path, rate, sounds.decoded(path).mean(1)
    return found


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """Many blocks in files of some seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "BLOCK_FRAMES", 5000)
        yield


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_preparation_finds_the_length_and_the_rate(files, kind):
    path, rate, whole = files[kind]
    assert check_audio(path) == (len(whole), rate, "")
    assert len(whole) == pytest.approx(3 * rate, abs=0.1 * rate)


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_the_whole_is_where_the_original_was(files, kind):
    path, rate, whole = files[kind]
    found = read_whole(path, len(whole), rate, rate)
    np.testing.assert_array_equal(found, whole)
    original = sounds.speech(3, rate, 1)[:, 0]
    spectrum = np.fft.rfft(original, 8 * rate).conj()
    lags = np.fft.irfft(np.fft.rfft(found, 8 * rate) * spectrum, 8 * rate)
    late = lags.argmax()
    late = late - 8 * rate if late > 4 * rate else late
    # A codec may delay by some of its frames where the file cannot say so.
    delayed = ("aac", "mp3 in wav", "mp3 without a header", "3gp", "gsm")
    limit = 0.15 if kind in delayed else 0.0005
    assert abs(late) <= limit * rate, late


@pytest.mark.parametrize("kind", sounds.KINDS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_excerpts_equal_the_whole_file_at_that_place(files, kind, data):
    """To the last bit: nothing is sought where seeking is not exact."""
    path, rate, whole = files[kind]
    length = data.draw(st.integers(1, len(whole)))
    starts = data.draw(
        st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)
    )
    found = read_excerpts(path, starts, length, len(whole), rate, rate)
    for start, excerpt in zip(starts, found, strict=True):
        wanted = np.take(whole, np.arange(start, start + length), mode="wrap")
        np.testing.assert_array_equal(excerpt, wanted)


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_spans_of_an_open_file_may_reach_over_its_end(files, kind):
    path, _, whole = files[kind]
    size = len(whole)
    with open_audio(path) as audio:
        found = read_spans(audio, [(size - 7, 99), (3, 5), (size + 4, 9)])
    assert [len(part) for part in found] == [7, 5, 0]
    np.testing.assert_array_equal(found[0], whole[-7:])
    np.testing.assert_array_equal(found[1], whole[3:8])


# ----------------------------- what is printed ------------------------------


def test_nothing_is_printed(files, tmp_path, capfd):
    """libmpg123 prints lines where an MP3 is sought in or damaged."""
    for kind in ("mp3", "mp3 of lame", "mp3 in wav", "m4a", "opus"):
        path, rate, whole = files[kind]
        for start in range(0, 2 * rate, 7919):
            read_excerpts(path, [start], 2000, len(whole), rate, rate)
        check_audio(path)
        content = bytearray(open(path, "rb").read())
        damaged = tmp_path / os.path.basename(path)
        middle = len(content) // 2
        content[middle : middle + 300] = np.random.default_rng(0).bytes(300)
        damaged.write_bytes(content)
        check_audio(str(damaged))
        damaged.write_bytes(content[: len(content) * 2 // 3])
        check_audio(str(damaged))
        damaged.write_bytes(np.random.default_rng(0).bytes(9000))
        check_audio(str(damaged))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_the_standard_error_is_back_afterwards(capfd):
    with muted_stderr():
        os.write(2, b"lost")
    os.write(2, b"kept")
    with pytest.raises(KeyError), muted_stderr():
        raise KeyError
    os.write(2, b", too")
    assert capfd.readouterr().err == "kept, too"


def test_it_may_be_closed(files):
    path, rate, whole = files["mp3"]
    code = (
        "import sys\n"
        "from ssrl_brain.data.audio_check import check_audio\n"
        "print(check_audio(sys.argv[1]).num_frames)"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", code, path],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout == f"{len(whole)}\n"


# ------------------------------ wrong and odd -------------------------------


def test_names_that_promise_another_format(tmp_path):
    """As downloaded files are named."""
    samples = sounds.speech(2)
    wave, m4a = tmp_path / "a.wav", tmp_path / "a.m4a"
    sounds.ffmpeg(m4a, "aac", samples, 16000)
    m4a.rename(tmp_path / "b.mp3")
    sounds.sndfile(wave, samples, 16000)
    wave.rename(tmp_path / "c.m4a")
    assert check_audio(str(tmp_path / "b.mp3")).reason == ""
    assert check_audio(str(tmp_path / "c.m4a")) == (32000, 16000, "")


def test_colons_and_other_signs_in_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http:x.m4a", "10:30 100%d.m4a", "concat:a|b.m4a"):
        sounds.ffmpeg("a.m4a", "aac", sounds.speech(2), 16000)
        os.rename("a.m4a", name)
        assert check_audio(name).reason == ""


def test_a_playlist_leads_nowhere(tmp_path):
    """A file of FFmpeg can name others, or addresses of the network."""
    sounds.sndfile(tmp_path / "a.mp3", sounds.speech(2), 16000)
    (tmp_path / "b.m4a").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n"
        f"{tmp_path}/a.mp3\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "c.m4a").write_text(
        f"ffconcat version 1.0\nfile {tmp_path}/a.mp3\n"
    )
    for name in "bc":
        reason = check_audio(str(tmp_path / f"{name}.m4a")).reason
        assert reason.startswith("unreadable: ")


@pytest.mark.parametrize("kind", ["m4a", "mp4 with pictures", "webm", "aac"])
def test_damaged_files_have_a_reason_or_a_length(files, tmp_path, kind):
    content = open(files[kind][0], "rb").read()
    path = tmp_path / os.path.basename(files[kind][0])
    generator = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(content)
        place = int(generator.integers(len(content)))
        damaged[place : place + 200] = generator.bytes(200)
        path.write_bytes(damaged[: int(generator.integers(len(content)))])
        found = check_audio(str(path))
        assert found.reason or found.num_frames > 0
        assert "\n" not in found.reason and str(tmp_path) not in found.reason


@pytest.mark.parametrize("options", [{}, {"movflags": "+faststart"}])
def test_an_mp4_that_ends_early_is_left_out(tmp_path, options):
    """With its table of samples at its end, which is lost, or beginning."""
    path = tmp_path / "a.mp4"
    sounds.ffmpeg(path, "aac", sounds.speech(4), 16000, **options)
    assert check_audio(str(path)).reason == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert check_audio(str(path)).reason.startswith("unreadable: Invalid data")


def test_an_mp3_without_its_length_is_believed(tmp_path):
    """Of varying bit rate: by its first frame it is several times longer."""
    samples = sounds.speech(6)
    samples[:16000] *= 1e-3
    path = tmp_path / "a.mp3"
    options = {"write_xing": "0", "abr": "1", "bit_rate": 32000}
    sounds.ffmpeg(path, "libmp3lame", samples, 16000, **options)
    length = check_audio(str(path)).num_frames
    for kept, reason in [("0", ""), ("1", "truncated")]:
        options["write_xing"] = kept
        sounds.ffmpeg(path, "libmp3lame", samples, 16000, **options)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        found = check_audio(str(path))
        assert found.reason == reason
        assert found.num_frames == pytest.approx(length / 2, rel=0.3)


def test_a_video_without_sound(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        sounds.add_video(file, 2)
    assert check_audio(str(path)).reason == "unreadable: it has no sound"


def test_integers_of_ffmpeg_are_scaled(tmp_path):
    """FFmpeg's 16 and 24 bits, and Apple's own lossless format."""
    samples = sounds.speech(2, channels=2)
    for codec, name in [
        ("pcm_s16le", "a.mov"),
        ("pcm_s24le", "b.mov"),
        ("pcm_u8", "c.mov"),
        ("pcm_f32le", "d.mov"),
        ("alac", "e.m4a"),
    ]:
        sounds.ffmpeg(tmp_path / name, codec, samples, 16000)
        with open_audio(str(tmp_path / name)) as audio:
            found = decoding.read_all(audio)
        limit = 0.01 if codec == "pcm_u8" else 1e-4
        np.testing.assert_allclose(found, samples, atol=limit)


# ---------------------------- without the extra -----------------------------


def test_without_the_extra_its_formats_are_named(tmp_path, monkeypatch):
    sounds.ffmpeg(tmp_path / "a.m4a", "aac", sounds.speech(2), 16000)
    assert list(audio_files.list_audio(tmp_path).files) == ["a.m4a"]
    monkeypatch.setattr(audio_files, "has_ffmpeg", lambda: False)
    listing = audio_files.list_audio(tmp_path)
    assert listing.files == {} and listing.unreadable == ["a.m4a"]
    monkeypatch.setitem(sys.modules, "av", None)  # as if not installed
    with pytest.raises(AudioError, match=r"pip install \.\[m4a\] reads it"):
        open_audio(str(tmp_path / "a.m4a"))
    soundfile.write(tmp_path / "b.wav", np.ones(9), 8000)
    with open_audio(str(tmp_path / "b.wav")) as audio:
        assert audio.frames == 9
