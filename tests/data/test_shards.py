"""Audio inside of tars is read as that beside them, to the last bit."""

import functools
import os
import pickle
import shutil
import tarfile

import numpy as np
import pytest
import soundfile
import sounds

from ssrl_brain.data import decoding, shards
from ssrl_brain.data.audio import read_excerpts
from ssrl_brain.data.audio_check import check_audio
from ssrl_brain.data.audio_files import list_audio
from ssrl_brain.data.audio_readers import AudioError, FFmpegAudio, SndfileAudio
from ssrl_brain.data.decoding import open_audio
from ssrl_brain.data.shards import open_member, size_and_time

FORMATS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """{kind: (path of a file, its place in a tar)}"""
    loose = tmp_path_factory.mktemp("loose")
    packed = tmp_path_factory.mktemp("packed")
    for kind in sounds.KINDS:
        rate = sounds.rate_of(kind)
        channels = 1 if kind in sounds.MONO_ONLY else 2
        sounds.write(kind, loose, sounds.speech(3, rate, channels), rate)
    with tarfile.open(packed / "a.tar", "w") as tar:
        for path in sorted(loose.iterdir()):
            tar.add(path, path.name)
    listing = list_audio(packed)
    paths = {
        kind: kind.replace(" ", "_") + sounds.KINDS[kind][0]
        for kind in sounds.KINDS
    }
    assert sorted(listing.files) == sorted(paths.values())
    return {
        kind: (f"{loose}/{path}", f"{packed}/{listing.place(path)}")
        for kind, path in paths.items()
    }


@pytest.fixture(params=["at once", "in parts"])
def way(request, monkeypatch):
    """Both ways to read a member."""
    monkeypatch.setattr(decoding, "BLOCK_FRAMES", 5000)
    if request.param == "in parts":
        monkeypatch.setattr(shards, "WHOLE_BYTES", 0)
        monkeypatch.setattr(shards, "BUFFER_BYTES", 4096)
    return request.param


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_a_member_is_what_its_file_is(both, kind, way):
    path, place = both[kind]
    found = check_audio(place)
    assert found == check_audio(path) and found.reason == ""
    where = found.num_frames, found.sample_rate
    for rate in (found.sample_rate, 16000):
        starts = [0, rate, 2 * rate - 7, rate // 3]
        np.testing.assert_array_equal(
            read_excerpts(place, starts, rate // 2, *where, rate),
            read_excerpts(path, starts, rate // 2, *where, rate),
        )
    with open_audio(path) as loose, open_audio(place) as packed:
        assert type(loose) is type(packed)
        assert (loose.seekable(), loose.promised) == (
            packed.seekable(),
            packed.promised,
        )


def test_the_bytes_of_a_member_as_those_of_a_file(both, way):
    path, place = both["flac"]
    content = open(path, "rb").read()
    file = open_member(place)
    assert file.name == place
    assert file.seek(-10, os.SEEK_END) == file.tell() == len(content) - 10
    assert file.read() == content[-10:] and file.read(5) == b""
    assert file.seek(3) == 3 and file.read(7) == content[3:10]
    assert file.seek(2, os.SEEK_CUR) == 12 and file.read(1) == content[12:13]
    assert size_and_time(place)[0] == len(content)
    assert size_and_time(path)[0] == len(content)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        "a/1.wav",
        'Übung/größe 1, "eins".wav',
        f"{'long' * 30}/{'name' * 40}.wav",
        f"{'länger' * 20}/1.wav",
        f"{'d' * 99}/{'f' * 60}.wav",
        "x.tar/@512+8/1.wav",
        "a/./b.wav",
    ],
)
def test_any_name_is_found(tmp_path, name, format, way):
    sounds.sndfile(tmp_path / "1.wav", sounds.speech(1), 16000)
    shutil.move(tmp_path / "1.wav", tmp_path / "original")
    with tarfile.open(tmp_path / "x.tar", "w", format=FORMATS[format]) as tar:
        tar.add(tmp_path / "original", f"./{name}")
    listing = list_audio(tmp_path)
    (path,) = listing.files
    assert path == name.replace("/./", "/") and not listing.excluded
    found = open_member(f"{tmp_path}/{listing.place(path)}").read()
    assert found == (tmp_path / "original").read_bytes()


def test_wrong_names_and_no_audio(tmp_path, way):
    """What a name promises is tried first, and the reason is one line."""
    sounds.ffmpeg(tmp_path / "a.m4a", "aac", sounds.speech(2), 16000)
    sounds.sndfile(tmp_path / "b.flac", sounds.speech(2), 16000)
    (tmp_path / "c.wav").write_text("no audio" * 99)
    (tmp_path / "d.m4a").write_text("no audio" * 99)
    (tmp_path / "e.wav").touch()
    names = {"a.mp3": "a.m4a", "b.m4a": "b.flac"}
    names |= {name: name for name in ("c.wav", "d.m4a", "e.wav")}
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars/x.tar", "w") as tar:
        for name, path in names.items():
            tar.add(tmp_path / path, name)
    listing = list_audio(tmp_path / "tars")
    places = {name: f"{tmp_path}/tars/{listing.place(name)}" for name in names}
    with open_audio(places["a.mp3"]) as audio:
        assert isinstance(audio, FFmpegAudio)
    with open_audio(places["b.m4a"]) as audio:
        assert isinstance(audio, SndfileAudio)
    assert {
        name: check_audio(place).reason for name, place in places.items()
    } == {
        "a.mp3": "",
        "b.m4a": "",
        "c.wav": "unreadable: Format not recognised.",
        "d.m4a": "unreadable: Invalid data found when processing input",
        "e.wav": "empty",
    }


# ------------------------- tars that change meanwhile ------------------------


@pytest.fixture
def tar(tmp_path):
    """A tar of three files; its path, and the places of these."""
    for number in range(3):
        sounds.sndfile(tmp_path / f"{number}.wav", sounds.speech(1), 16000)
    path = tmp_path / "tars/x.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        for number in range(3):
            tar.add(tmp_path / f"{number}.wav", f"{number}.wav")
    listing = list_audio(path.parent)
    return path, [f"{path.parent}/{listing.place(x)}" for x in listing.files]


def read(place):
    return read_excerpts(place, [100], 8000, 16000, 16000, 16000)


def offset_of(place):
    return int(shards.PLACE.fullmatch(place)[2])


def repack(path, names, **options):
    """Another tar in the place of one."""
    shards.close_tars()
    with tarfile.open(path, "w", **options) as tar:
        for name, number in names.items():
            tar.add(path.parents[1] / f"{number}.wav", name)


def test_another_order_is_noticed(tar):
    path, places = tar
    read(places[0])
    repack(path, {"1.wav": 1, "0.wav": 0, "2.wav": 2})
    with pytest.raises(ValueError, match="0.wav cannot .* tar has changed"):
        read(places[0])
    read(places[2])  # is where it was


def test_another_size_is_noticed(tar):
    path, places = tar
    sounds.sndfile(path.parents[1] / "0.wav", sounds.speech(2), 16000)
    repack(path, {"0.wav": 0, "1.wav": 1, "2.wav": 2})
    for place in places:
        with pytest.raises(ValueError, match="has changed since it was prep"):
            read(place)


def test_a_shorter_tar_is_noticed(tar, way):
    path, places = tar
    read(places[2])
    content = path.read_bytes()
    path.write_bytes(content[: offset_of(places[2]) + 99])
    with pytest.raises(ValueError, match="shorter than when it was prepared"):
        read(places[2])
    read(places[1])
    path.write_bytes(content[:100])
    with pytest.raises(ValueError, match="tar has changed"):
        read(places[2])


def test_a_tar_that_is_gone_is_told_by_the_system(tar):
    path, places = tar
    path.unlink()
    shards.close_tars()
    with pytest.raises(ValueError, match="No such file .*: put the file back"):
        read(places[0])
    assert check_audio(places[0]).reason == (
        "unreadable: No such file or directory"
    )


# ------------------------------- open files ----------------------------------


def test_few_tars_are_open_at_once(tmp_path, monkeypatch):
    for number in range(9):
        path = tmp_path / f"{number}.wav"
        sounds.sndfile(path, sounds.speech(1), 16000)
        with tarfile.open(tmp_path / f"{number}.tar", "w") as tar:
            tar.add(path, f"a/{number}.wav")
        path.unlink()
    kept = functools.lru_cache(3)(shards.Tar)
    monkeypatch.setattr(shards, "_tar", kept)
    listing = list_audio(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        for path in listing.files:
            read(f"{tmp_path}/{listing.place(path)}")
    assert len(os.listdir("/proc/self/fd")) == before + 3
    with open_audio(f"{tmp_path}/{listing.place('a/0.wav')}") as audio:
        kept.cache_clear()
        assert len(audio.read(16000)) == 16000  # is still open for this one
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_quarter_of_the_files_that_may_be_open(monkeypatch):
    limits = {
        256: 64,
        8: 4,
        10**6: 512,
        shards.resource.RLIM_INFINITY: 512,
    }
    for limit, wanted in limits.items():
        monkeypatch.setattr(
            shards.resource, "getrlimit", lambda _, n=limit: (n, n)
        )
        assert shards.max_open_tars() == wanted


def test_nothing_is_read_ahead(tar, monkeypatch):
    """A system that does reads some times what a network disk is asked for."""
    advice = []
    monkeypatch.setattr(
        os, "posix_fadvise", lambda *given: advice.append(given[1:])
    )
    list_audio(tar[0].parent)
    read(tar[1][0])
    read(tar[1][1])
    assert advice == 2 * [(0, 0, os.POSIX_FADV_RANDOM)]
    monkeypatch.delattr(os, "posix_fadvise")
    shards.close_tars()
    read(tar[1][0])


def test_a_place_is_a_text_as_a_path_is(both):
    place = pickle.loads(pickle.dumps(both["wav"][1]))
    with open_audio(place) as audio:
        assert audio.frames == soundfile.info(both["wav"][0]).frames


def test_the_reason_names_no_object(tar):
    path, places = tar
    content = bytearray(path.read_bytes())
    start = offset_of(places[0])
    content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        open_audio(places[0])
    assert str(caught.value) == "Format not recognised."
