"""Which audio is in tars: odd ones, damaged ones, those of others."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile

import pytest
from conftest import state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data import audio_files, tars
from ssrl_brain.data.audio_files import fingerprint, list_audio
from ssrl_brain.data.shards import open_member


def pack(path, members, format=tarfile.PAX_FORMAT):
    """A tar of (name, content or TarInfo)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def special(name, kind, target=""):
    """A member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


def contents(folder, listing):
    """{path: bytes} of what is listed."""
    found = {}
    for path, (size, _) in listing.files.items():
        place = os.path.join(folder, listing.place(path))
        file = open_member(place) or open(place, "rb")
        with file:
            found[path] = file.read()
        assert len(found[path]) == size
    return found


def test_members_are_listed_as_if_they_were_unpacked(tmp_path):
    pack(
        tmp_path / "x.tar",
        [
            special("./", tarfile.DIRTYPE),
            ("./b/2.flac", b"22"),
            ("./b/2.json", b"{}"),
            ("./a/1.WAV", b"1"),
            ("./a/._1.wav", b"of a Mac"),
            ("./.hidden/1.wav", b"hidden"),
        ],
    )
    pack(tmp_path / "sub/y.TAR", [("1.wav", b"333")])
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.wav").write_bytes(b"loose")
    before = state_of(tmp_path)
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == {
        "a/0.wav": b"loose",
        "a/1.WAV": b"1",
        "b/2.flac": b"22",
        "sub/1.wav": b"333",
    }
    assert list(listing.files) == sorted(listing.files)
    assert listing.excluded == listing.unreadable == []
    assert state_of(tmp_path) == before
    assert list_audio(tmp_path, with_tars=False).files.keys() == {"a/0.wav"}


def test_a_tar_alone_is_a_folder(tmp_path):
    pack(tmp_path / "x.tar", [("a/1.wav", b"1"), ("../2.wav", b"2")])
    listing = list_audio(tmp_path / "x.tar")
    assert contents(tmp_path / "x.tar", listing) == {"a/1.wav": b"1"}
    assert listing.excluded == [("../2.wav", "name leads out of the folder")]
    with pytest.raises(FileNotFoundError, match="give --data_folder="):
        list_audio(tmp_path / "x.tar", with_tars=False)
    (tmp_path / "y.wav").touch()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        list_audio(tmp_path / "y.wav")


def test_a_tar_keeps_its_name_where_links_lead(tmp_path):
    """As of the Hugging Face cache, whose blobs have no suffix."""
    pack(tmp_path / "blobs/0a1b", [("a/1.wav", b"1")])
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/x.tar").symlink_to("../blobs/0a1b")
    (tmp_path / "linked").symlink_to("snapshot")
    found = tars.real_path(tmp_path / "linked/x.tar")
    assert found == os.path.realpath(tmp_path / "snapshot") + "/x.tar"
    assert contents(found, list_audio(found)) == {"a/1.wav": b"1"}
    assert tars.real_path(tmp_path / "linked") == os.path.dirname(found)


def test_what_is_no_file_or_leads_out_is_named(tmp_path):
    pack(
        tmp_path / "x.tar",
        [
            ("good.wav", b"good"),
            special("soft.wav", tarfile.SYMTYPE, "/etc/passwd"),
            special("hard.wav", tarfile.LNKTYPE, "good.wav"),
            special("device.wav", tarfile.CHRTYPE),
            special("pipe.wav", tarfile.FIFOTYPE),
            special("folder.wav", tarfile.DIRTYPE),
            special("link.txt", tarfile.SYMTYPE, "/etc/passwd"),
            ("/etc/absolute.wav", b"x"),
            ("a/../../out.wav", b"x"),
            ("two\nlines.wav", b"x"),
        ],
    )
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == {"good.wav": b"good"}
    assert dict(listing.excluded) == {
        "x.tar/soft.wav": "link inside of a tar",
        "x.tar/hard.wav": "link inside of a tar",
        "x.tar/device.wav": "no file inside of a tar",
        "x.tar/pipe.wav": "no file inside of a tar",
        "x.tar//etc/absolute.wav": "name leads out of the folder",
        "x.tar/a/../../out.wav": "name leads out of the folder",
        "two\nlines.wav": "name cannot be written to a table",
    }
    fingerprint(listing)


def test_names_that_are_not_in_utf8(tmp_path):
    pack(
        tmp_path / "x.tar",
        [("\udcff.wav", b"x"), ("1.wav", b"1")],
        tarfile.GNU_FORMAT,
    )
    listing = list_audio(tmp_path)
    assert list(listing.files) == ["1.wav"]
    assert listing.excluded == [
        ("\udcff.wav", "name cannot be written to a table")
    ]
    fingerprint(listing)
    tars.write_index(tmp_path / "index", listing.tars)
    assert list_audio(
        tmp_path, known_tars=tars.read_index(tmp_path / "index")
    ) == (listing)


def test_a_name_twice(tmp_path):
    """As unpacking would have it; two tars need not know of each other."""
    pack(tmp_path / "a.tar", [("1.wav", b"old"), ("1.wav", b"new")])
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == {"1.wav": b"new"}
    assert listing.excluded == [
        ("a.tar/1.wav", "name twice in a tar: the last counts")
    ]
    pack(tmp_path / "b.tar", [("1.wav", b"other"), ("2.wav", b"2")])
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == {
        "a.tar/1.wav": b"new",
        "b.tar/1.wav": b"other",
        "2.wav": b"2",
    }
    (tmp_path / "1.wav").write_bytes(b"loose")
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == {"1.wav": b"loose", "2.wav": b"2"}
    assert [path for path, _ in listing.excluded] == [
        "a.tar/1.wav",
        "a.tar/1.wav",
        "b.tar/1.wav",
    ]


@pytest.mark.parametrize(
    "name, compress",
    [
        ("x.tar.gz", gzip.compress),
        ("x.tgz", gzip.compress),
        ("x.TAR.XZ", lzma.compress),
        ("x.tar.bz2", bz2.compress),
        ("x.tar", gzip.compress),
        ("x.tar", bz2.compress),
    ],
)
def test_compressed_tars_are_named(tmp_path, name, compress):
    pack(tmp_path / "x.tar", [("1.wav", b"1")])
    content = compress((tmp_path / "x.tar").read_bytes())
    (tmp_path / "x.tar").unlink()
    (tmp_path / name).write_bytes(content)
    reason = "compressed tar, to be decompressed first"
    assert list_audio(tmp_path).excluded == [(name, reason)]
    assert list_audio(tmp_path / name).excluded == [(".", reason)]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "no tar, or a damaged one"),
        (b"text " * 999, "no tar, or a damaged one"),
        (bytes(10240), "tar without audio"),
    ],
)
def test_what_is_no_tar_is_named(tmp_path, content, reason):
    (tmp_path / "x.tar").write_bytes(content)
    assert list_audio(tmp_path).excluded == [("x.tar", reason)]


def test_a_tar_without_audio_is_named(tmp_path):
    pack(tmp_path / "x.tar", [("1.jpg", b"1"), ("1.json", b"{}")])
    listing = list_audio(tmp_path)
    assert listing.excluded == [("x.tar", "tar without audio")]
    assert not listing.files


def test_a_truncated_tar_keeps_what_is_whole(tmp_path):
    members = [(f"{n}.wav", bytes([n]) * 1000) for n in range(4)]
    pack(tmp_path / "x.tar", members)
    content = (tmp_path / "x.tar").read_bytes()
    size = 512 + 1024
    why = "damaged or truncated tar: the first 2 files are used"
    # in the third member, in its header, in its padding
    for end in (2 * size + 700, 2 * size + 100, 3 * size - 1):
        (tmp_path / "x.tar").write_bytes(content[:end])
        listing = list_audio(tmp_path)
        found = contents(tmp_path, listing)
        whole = 3 if end == 3 * size - 1 else 2
        assert found == dict(members[:whole])
        assert ("x.tar", why.replace("2", str(whole))) in listing.excluded
    # without its end, as of a program that was killed, all is there
    (tmp_path / "x.tar").write_bytes(content[: 4 * size])
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == dict(members)
    assert listing.excluded == []


def test_a_damaged_header_is_told(tmp_path):
    """Where tarfile takes it for the end and says nothing."""
    members = [(f"{n}.wav", bytes([n]) * 1000) for n in range(4)]
    pack(tmp_path / "x.tar", members)
    content = bytearray((tmp_path / "x.tar").read_bytes())
    content[2 * 1536 + 3] ^= 1
    (tmp_path / "x.tar").write_bytes(content)
    listing = list_audio(tmp_path)
    assert contents(tmp_path, listing) == dict(members[:2])
    assert listing.excluded == [
        ("x.tar", "damaged or truncated tar: the first 2 files are used")
    ]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), format=st.sampled_from([0, 1, 2]))
def test_no_damage_stops_the_listing(tmp_path_factory, seed, format):
    folder = tmp_path_factory.mktemp("damage")
    dice = random.Random(seed)
    members = [("é" * 60 + f"{n}.wav", bytes(700)) for n in range(3)]
    members += [special("link.wav", tarfile.SYMTYPE, "é" * 99)]
    try:
        pack(folder / "x.tar", members, format)
    except (ValueError, UnicodeEncodeError):
        pack(folder / "x.tar", [("1.wav", b"1"), ("2.wav", b"2")], format)
    content = bytearray((folder / "x.tar").read_bytes())
    for _ in range(dice.randint(1, 30)):
        content[dice.randrange(min(len(content), 6000))] = dice.randrange(256)
    content = content[: dice.randint(0, len(content))]
    (folder / "x.tar").write_bytes(content)
    listing = list_audio(folder)
    assert listing.files or listing.excluded
    for path in listing.files:
        assert not path.startswith("/") and ".." not in path.split("/")
    fingerprint(listing)


def test_several_tars_in_one_are_told(tmp_path):
    """Where tar itself stops at the first and says nothing."""
    for name in "ab":
        pack(tmp_path / f"{name}.tar", [(f"{name}.wav", b"1")])
    with open(tmp_path / "a.tar", "ab") as file:
        file.write((tmp_path / "b.tar").read_bytes())
    (tmp_path / "b.tar").unlink()
    listing = list_audio(tmp_path)
    assert list(listing.files) == ["a.wav"]
    assert listing.excluded == [
        ("a.tar", "several tars in one: the first is used")
    ]


def test_a_pipe_named_as_a_tar_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.tar")
    (tmp_path / "1.wav").write_bytes(b"1")
    listing = list_audio(tmp_path)
    assert list(listing.files) == ["1.wav"] and not listing.excluded


def test_tars_that_may_not_be_read_or_lead_nowhere(tmp_path, monkeypatch):
    (tmp_path / "gone.tar").symlink_to("nowhere.tar")
    listing = list_audio(tmp_path)
    assert listing.excluded == [
        ("gone.tar", "unreadable: No such file or directory")
    ]
    (tmp_path / "folder.tar").mkdir()
    (tmp_path / "folder.tar/1.wav").write_bytes(b"1")
    assert list(list_audio(tmp_path).files) == ["folder.tar/1.wav"]


def test_without_the_extra_members_are_counted_as_files_are(
    tmp_path, monkeypatch
):
    pack(tmp_path / "x.tar", [("1.m4a", b"1"), ("2.wav", b"2")])
    assert list(list_audio(tmp_path).files) == ["1.m4a", "2.wav"]
    monkeypatch.setattr(audio_files, "has_ffmpeg", lambda: False)
    listing = list_audio(tmp_path)
    assert list(listing.files) == ["2.wav"]
    assert listing.unreadable == ["1.m4a"]


# --------------------------- headers are read once ---------------------------


def test_headers_are_read_of_new_and_changed_tars_only(tmp_path, monkeypatch):
    for number in range(3):
        pack(tmp_path / f"{number}.tar", [(f"{number}.wav", b"1")])
    first = list_audio(tmp_path)
    tars.write_index(tmp_path / "index.json", first.tars)
    known = tars.read_index(tmp_path / "index.json")
    read, calls = tars.read_headers, []

    def watched(path):
        calls.append(os.path.basename(path))
        return read(path)

    monkeypatch.setattr(tars, "read_headers", watched)
    monkeypatch.setattr(
        tars, "parallel_map", lambda function, items, **_: map(function, items)
    )
    assert list_audio(tmp_path, known_tars=known) == first
    assert calls == []
    pack(tmp_path / "1.tar", [("1.wav", b"1"), ("new.wav", b"1")])
    pack(tmp_path / "3.tar", [("3.wav", b"1")])
    (tmp_path / "2.tar").unlink()
    second = list_audio(tmp_path, known_tars=known)
    assert calls == ["1.tar", "3.tar"]
    assert list(second.files) == ["0.wav", "1.wav", "3.wav", "new.wav"]
    assert fingerprint(second) != fingerprint(first)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[1]", '{"a": 1}', '{"a": [1]}']
)
def test_a_damaged_index_is_none(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    assert tars.read_index(tmp_path / "index.json") == {}


def test_another_place_is_another_corpus(tmp_path):
    """Though names, sizes and times are the same."""
    prints = []
    for order in ("12", "21"):
        pack(tmp_path / "x.tar", [(f"{n}.wav", b"1") for n in order])
        os.utime(tmp_path / "x.tar", ns=(0, 0))
        prints.append(fingerprint(list_audio(tmp_path)))
    assert prints[0] != prints[1]


def test_an_index_is_plain_json(tmp_path):
    pack(tmp_path / "x.tar", [("1.wav", b"123")])
    tars.write_index(tmp_path / "index.json", list_audio(tmp_path).tars)
    found = json.loads((tmp_path / "index.json").read_text())
    assert found["x.tar"][2:] == [[["1.wav", 512, 3]], []]
