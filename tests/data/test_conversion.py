"""A tree of any audio, decoded into another folder."""

import csv
import multiprocessing
import os
import resource
import signal
import time

import numpy as np
import pytest
import soundfile
import sounds
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from ssrl_brain.data import audio_files, audio_readers, decoding, transcoding
from ssrl_brain.data.conversion import convert_tree
from ssrl_brain.data.prepare import auto
from ssrl_brain.data.transcoding import resampled

RATE = 16000


def snapshot(folder):
    """Names, times and contents of all files below a folder."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def failures(folder):
    with open(folder / "failed.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def names(folder):
    """Files below a folder, hidden ones as well, but not the record."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("converted.json", "failed.csv")
    )


# -------------------------------- resampling --------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000, 12345]),
    st.sampled_from([8000, 16000, 44100]),
    st.lists(st.integers(0, 3000), max_size=6),
)
def test_parts_are_resampled_as_the_whole(rate, target, sizes):
    generator = np.random.default_rng(0)
    parts = [generator.standard_normal(n).astype("f4") for n in sizes]
    whole = np.concatenate([np.zeros(0, "f4"), *parts])
    found = np.concatenate(
        [np.zeros(0, "f4"), *resampled(iter(parts), rate, target)]
    )
    if not len(whole):
        assert len(found) == 0
        return
    common = np.gcd(rate, target)
    wanted = resample_poly(whole, target // common, rate // common)
    assert found.dtype == np.float32 and len(found) == len(wanted)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


# ----------------------------- what is converted ----------------------------


@pytest.mark.parametrize("kind", sounds.KINDS)
@pytest.mark.parametrize("format", ["flac", "wav"])
def test_every_format_becomes_mono_of_16_bits(tmp_path, kind, format):
    (tmp_path / "in").mkdir()
    rate = sounds.rate_of(kind)
    channels = 1 if kind in sounds.MONO_ONLY else 2
    path = sounds.write(
        kind, tmp_path / "in", sounds.speech(2, rate, channels), rate
    )
    counts = convert_tree(tmp_path / "in", tmp_path / "out", format)
    assert counts == {"converted": 1, "done before": 0, "failed": 0}
    (made,) = (tmp_path / "out").glob(f"*.{format}")
    assert made.stem == path.stem
    with soundfile.SoundFile(made) as file:
        found = file.read(dtype="float32")
        assert (file.samplerate, file.channels, file.subtype) == (
            RATE,
            1,
            "PCM_16",
        )
    wanted = sounds.decoded(path).mean(1)
    if rate != RATE:
        wanted = resample_poly(wanted, RATE // 8000, rate // 8000)
    np.testing.assert_allclose(found, wanted, atol=1 / 32768)


def test_voxceleb2_keeps_its_layout_and_can_be_prepared(tmp_path):
    data, out = tmp_path / "m4a", tmp_path / "flac"
    stems = [
        f"dev/aac/id{n:05d}/21Uxsk56VDQ/{i:05d}"
        for n in (12, 15)
        for i in (1, 2)
    ]
    for stem in stems:
        (data / stem).parent.mkdir(parents=True, exist_ok=True)
        sounds.ffmpeg(data / f"{stem}.m4a", "aac", sounds.speech(2), RATE)
    before = snapshot(data)
    convert_tree(data, out, num_workers=2)
    assert names(out) == sorted(f"{stem}.flac" for stem in stems)
    assert snapshot(data) == before
    tables = []
    for folder in (data, out):  # as they are, and converted
        auto.prepare(folder, tmp_path / f"prepared {folder.name}")
        with open(tmp_path / f"prepared {folder.name}/train.csv") as file:
            tables.append(
                [(r["ID"], r["session"]) for r in csv.DictReader(file)]
            )
    assert tables[0] == tables[1] and len(tables[0]) == 4
    assert tables[0][0][0] == "id00012/21Uxsk56VDQ/00001"


def test_originals_of_one_stem_do_not_overwrite_each_other(tmp_path):
    data = tmp_path / "in/a b"
    data.mkdir(parents=True)
    levels = {"x.wav": 1, "x.flac": 2, "x.m4a.wav": 3, "x.mp3": 4, "X.wav": 5}
    for name, level in levels.items():
        wave = np.full((RATE, 1), level / 10, "f4")
        sounds.sndfile(data / name, wave, RATE)
    sounds.ffmpeg(data / "x.m4a", "alac", np.full((RATE, 1), 0.6, "f4"), RATE)
    convert_tree(tmp_path / "in", tmp_path / "out")
    found = {
        name: round(
            10 * soundfile.read(tmp_path / "out" / name)[0][9000:9100].mean()
        )
        for name in names(tmp_path / "out")
    }
    assert found == {
        "a b/x.wav.flac": 1,
        "a b/x.flac.flac": 2,
        "a b/x.m4a.wav.flac": 3,
        "a b/x.mp3.flac": 4,
        "a b/X.flac": 5,
        "a b/x.m4a.flac": 6,
    }


def test_what_exceeds_full_scale_is_scaled_and_not_clipped(tmp_path):
    (tmp_path / "in").mkdir()
    wave = 3e4 * sounds.speech(2, 22050)
    sounds.sndfile(tmp_path / "in/a.wav", wave, 22050, "FLOAT")
    convert_tree(tmp_path / "in", tmp_path / "out")
    found, _ = soundfile.read(tmp_path / "out/a.flac")
    wanted = resample_poly(wave[:, 0], 320, 441)
    assert np.abs(found).max() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(found, wanted / np.abs(wanted).max(), atol=1e-4)


# --------------------------- broken and odd files ----------------------------


def test_broken_files_are_named_and_stop_nothing(tmp_path, monkeypatch):
    data = tmp_path / "in"
    data.mkdir()
    wave = sounds.speech(2)
    sounds.sndfile(data / "good.wav", wave, RATE)
    (data / "empty.wav").touch()
    (data / "text.wav").write_text("no audio")
    (data / "text.m4a").write_text("no audio")
    os.mkfifo(data / "pipe.wav")
    (data / "link.wav").symlink_to("gone")
    (data / "two\nlines.wav").write_bytes((data / "good.wav").read_bytes())
    sounds.sndfile(data / "nothing.wav", wave[:0], RATE)
    sounds.sndfile(data / "nan.wav", wave * np.nan, RATE, "FLOAT")
    sounds.sndfile(data / "huge.wav", wave * 1e20, RATE, "FLOAT")
    for name in ("cut.wav", "cut.flac", "cut.mp3"):
        sounds.sndfile(data / name, np.tile(wave, (3, 1)), RATE)
        content = (data / name).read_bytes()
        (data / name).write_bytes(content[: len(content) // 2])
    counts = convert_tree(data, tmp_path / "out", num_workers=1)
    found = failures(tmp_path / "out")
    assert counts == {"converted": 1, "done before": 0, "failed": len(found)}
    assert names(tmp_path / "out") == ["good.flac"]
    cut_flac = found.pop("cut.flac")
    assert cut_flac.startswith(("truncated", "unreadable: "))
    invalid = "unreadable: Invalid data found when processing input"
    assert found == {
        "empty.wav": "empty",
        "text.wav": "unreadable: Format not recognised.",
        "text.m4a": invalid,
        "pipe.wav": "empty",
        "link.wav": "unreadable: No such file or directory",
        "two\\nlines.wav": "name cannot be written to a table",
        "nothing.wav": "empty",
        "nan.wav": "NaN or infinite",
        "huge.wav": "far beyond full scale",
        "cut.wav": "truncated",
        "cut.mp3": "truncated",
    }


def test_nothing_at_all_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="in holds no audio"):
        convert_tree(tmp_path / "in", tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]
    (tmp_path / "in/a.wav").write_text("no audio")
    (tmp_path / "in/b.wav").touch()
    with pytest.raises(
        ValueError, match="none of 2 files in .* the first a.wav: unreadable"
    ):
        convert_tree(tmp_path / "in", tmp_path / "out")
    assert len(failures(tmp_path / "out")) == 2


def test_without_the_extra_the_rest_is_converted(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    sounds.ffmpeg(tmp_path / "in/a.m4a", "aac", sounds.speech(2), RATE)
    sounds.sndfile(tmp_path / "in/b.wav", sounds.speech(2), RATE)
    with monkeypatch.context() as patch:
        patch.setattr(audio_files, "has_ffmpeg", lambda: False)
        counts = convert_tree(tmp_path / "in", tmp_path / "out")
    assert counts == {"converted": 1, "done before": 0, "failed": 1}
    assert r"pip install .[m4a]" in failures(tmp_path / "out")["a.m4a"]
    counts = convert_tree(tmp_path / "in", tmp_path / "out")
    assert counts == {"converted": 1, "done before": 1, "failed": 0}
    assert failures(tmp_path / "out") == {}


# ---------------------------- again, and killed ------------------------------


@pytest.fixture
def tree(tmp_path):
    """Ten short files in two folders."""
    for number in range(10):
        path = tmp_path / f"in/{number % 2}/{number}.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        sounds.sndfile(path, sounds.speech(1 + number / 10), RATE)
        os.utime(path, (10**9, 10**9))
    return tmp_path / "in"


def test_a_second_run_does_what_is_new_or_changed(tree, tmp_path):
    out = tmp_path / "out"
    assert convert_tree(tree, out)["converted"] == 10
    first = snapshot(out)
    assert convert_tree(tree, out)["done before"] == 10
    again = snapshot(out)
    assert {p: s for p, s in again.items() if p.suffix == ".flac"} == {
        p: s for p, s in first.items() if p.suffix == ".flac"
    }
    sounds.sndfile(tree / "0/0.ogg", sounds.speech(3), RATE)  # changed
    sounds.sndfile(tree / "0/new.ogg", sounds.speech(1), RATE)
    (out / "1/1.flac").unlink()
    counts = convert_tree(tree, out)
    assert counts == {"converted": 3, "done before": 8, "failed": 0}
    assert soundfile.info(out / "0/0.flac").frames == 3 * RATE


def convert_slowly(data, out):
    """In a process to be killed: each file takes a while."""
    read = audio_readers.SndfileAudio.read

    def slowly(self, count):
        time.sleep(0.05)
        return read(self, count)

    audio_readers.SndfileAudio.read = slowly
    convert_tree(data, out, num_workers=1)


def test_what_has_lost_its_original_is_told_and_stays(tree, tmp_path, caplog):
    out = tmp_path / "out"
    convert_tree(tree, out)
    before = names(out)
    assert "original" not in caplog.text
    gone = sorted(path for path in tree.rglob("*") if path.is_file())[-1]
    gone.unlink()
    convert_tree(tree, out)
    assert "holds 1 files whose original is no longer" in caplog.text
    assert f"{gone.stem}.flac" in caplog.text
    assert names(out) == before


def test_a_killed_run_leaves_whole_files_and_is_gone_on_with(tree, tmp_path):
    wanted = tmp_path / "wanted"
    convert_tree(tree, wanted)
    out = tmp_path / "out"
    process = multiprocessing.get_context("fork").Process(
        target=convert_slowly, args=(tree, out)
    )
    process.start()
    deadline = time.monotonic() + 60
    while len(list(out.glob("*/[0-9]*.flac"))) < 3:
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there = list(out.glob("*/[0-9]*.flac"))
    assert 3 <= len(there) < 10
    for path in there:
        same = wanted / path.relative_to(out)
        assert path.read_bytes() == same.read_bytes()
    counts = convert_tree(tree, out)
    assert counts["done before"] == len(there)
    assert counts["converted"] == 10 - len(there)
    assert names(out) == names(wanted)  # and no partial file
    for name in names(out):
        assert (out / name).read_bytes() == (wanted / name).read_bytes()


def convert_with_little_disk(data, out, results):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    try:
        convert_tree(data, out, num_workers=1)
    except OSError as error:
        results.put(str(error))
    results.put("no error")


def test_a_full_disk_ends_it_with_the_name_of_a_file(tree, tmp_path):
    """It is not the original that is broken then."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(
        target=convert_with_little_disk, args=(tree, tmp_path / "out", results)
    )
    process.start()
    message = results.get(timeout=60)
    process.join()
    assert "is the disk full?" in message and ".flac" in message
    assert names(tmp_path / "out") == []


# ------------------------- where it may be written --------------------------


def test_never_in_at_or_above_the_originals(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree)
    before = snapshot(tmp_path)
    for out in (
        tree,
        tree / "new",
        tree / "0",
        tree / "../in",
        tmp_path,
        tmp_path / "link",
        tmp_path / "link/new",
    ):
        with pytest.raises(ValueError, match="(is|holds|lies in) data_folder"):
            convert_tree(tree, out)
    with pytest.raises(ValueError, match="which is only read"):
        convert_tree(tmp_path / "link", tree / "new")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["thesis.txt", ".hidden", "a/0.flac"])
def test_a_folder_of_other_files_is_refused(tree, tmp_path, name):
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="not empty and not of an earlier"):
        convert_tree(tree, out)
    assert snapshot(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused(tree, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ValueError, match="is a file, not a folder"):
        convert_tree(tree, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"format": "wav"}, "format=flac"),
        ({"sample_rate": 8000}, "sample_rate=16000"),
        ({"data_folder": "other"}, "data_folder="),
    ],
)
def test_other_options_need_another_folder(tree, tmp_path, options, message):
    (tmp_path / "other").mkdir()
    sounds.sndfile(tmp_path / "other/a.wav", sounds.speech(1), RATE)
    options = {"data_folder": tree, "output_folder": tmp_path / "out"} | {
        key: tmp_path / value if key == "data_folder" else value
        for key, value in options.items()
    }
    convert_tree(tree, tmp_path / "out")
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=f"was made with {message}"):
        convert_tree(**options)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "options, message",
    [
        ({"format": "mp3"}, "--format=mp3 is unknown: choose flac or wav"),
        ({"sample_rate": 0}, "--sample_rate=0 is no rate"),
        ({"sample_rate": -16000}, "--sample_rate=-16000"),
        ({"num_workers": 0}, "--num_workers=0"),
        ({"data_folder": "gone"}, "data_folder gone does not exist"),
    ],
)
def test_wrong_options_are_told_at_once(tree, tmp_path, options, message):
    options = {
        "data_folder": tree,
        "output_folder": tmp_path / "out",
        **options,
    }
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        convert_tree(**options)
    assert not (tmp_path / "out").exists()


def test_the_rate_may_be_another(tree, tmp_path):
    convert_tree(tree, tmp_path / "out", "wav", 8000)
    made = soundfile.info(tmp_path / "out/0/0.wav")
    assert (made.samplerate, made.frames) == (8000, 8000)


def test_long_files_take_little_memory(tmp_path):
    """A quarter of an hour goes through in parts, none is held as a whole."""
    (tmp_path / "in").mkdir()
    with soundfile.SoundFile(tmp_path / "in/a.wav", "w", 8000, 1) as file:
        for _ in range(15):
            file.write(np.zeros(60 * 8000, np.int16))
    sizes = []
    part = transcoding.resample_poly

    def watched(samples, *args):
        sizes.append(len(samples))
        return part(samples, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcoding, "resample_poly", watched)
        convert_tree(tmp_path / "in", tmp_path / "out", num_workers=1)
    assert max(sizes) < 2 * decoding.BLOCK_FRAMES
    assert soundfile.info(tmp_path / "out/a.flac").frames == 900 * RATE
