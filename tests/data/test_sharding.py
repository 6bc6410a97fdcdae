"""A tree of audio, packed into tars."""

import csv
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import tarfile
import time

import dirty
import pytest
import sounds
import webdataset
from conftest import state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.commands import convert
from ssrl_brain.data import packing
from ssrl_brain.data.audio_files import list_audio
from ssrl_brain.data.packing import END, Source, header, padding
from ssrl_brain.data.prepare import auto
from ssrl_brain.data.sharding import plan_shards, shard_tree
from ssrl_brain.data.shards import PLACE

RATE = 16000


@pytest.fixture
def tree(tmp_path):
    """Ten files of 6 to 8 kB in two folders, and what is no audio."""
    for number in range(10):
        path = tmp_path / f"in/id{number % 2}/s/{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        sounds.sndfile(path, sounds.speech(0.2 + number / 100), RATE)
    (tmp_path / "in/list.txt").write_text("1 a b\n")
    return tmp_path / "in"


SMALL = 0.02  # megabytes: two or three of these files


def tars(folder):
    return sorted(path.name for path in folder.glob("*.tar"))


def members(folder):
    """{name: bytes} in the order of the tars, by tarfile."""
    found = {}
    for name in tars(folder):
        with tarfile.open(folder / name) as tar:
            for info in tar:
                assert info.name not in found
                found[info.name] = tar.extractfile(info).read()
    return found


def originals(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.wav"))
    }


def failures(folder):
    with open(folder / "failed.csv", newline="", encoding="utf-8") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


# ------------------------------ what is packed -------------------------------


@pytest.mark.parametrize("num_workers", [1, 3])
def test_all_audio_in_order_and_untouched(tree, tmp_path, num_workers):
    before = state_of(tree)
    counts = shard_tree(tree, tmp_path / "out", SMALL, num_workers)
    names = tars(tmp_path / "out")
    assert names == [f"shard-{n:06d}.tar" for n in range(len(names))]
    assert counts == {
        "shards": len(names),
        "packed": 10,
        "done before": 0,
        "failed": 0,
    }
    assert 4 <= len(names) <= 6
    found = members(tmp_path / "out")
    assert list(found) == sorted(originals(tree))
    assert found == originals(tree)
    assert state_of(tree) == before
    for name in names:
        assert (tmp_path / "out" / name).stat().st_size <= SMALL * 10**6


def test_the_same_audio_gives_the_same_bytes(tree, tmp_path):
    shard_tree(tree, tmp_path / "out", SMALL)
    shutil.copytree(tree, tmp_path / "copy")  # of other times
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (10**9, 10**9))
        path.chmod(0o700)
    shard_tree(tmp_path / "copy", tmp_path / "again", SMALL)
    for name in tars(tmp_path / "out"):
        assert (tmp_path / "out" / name).read_bytes() == (
            tmp_path / "again" / name
        ).read_bytes()
    with tarfile.open(tmp_path / "out/shard-000000.tar") as tar:
        for info in tar:
            assert (info.mtime, info.uid, info.gid) == (0, 0, 0)
            assert (info.uname, info.gname, info.mode) == ("", "", 0o644)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=40),
    st.integers(1, 20000),
)
def test_every_file_is_in_one_tar_and_none_is_too_large(sizes, limit):
    sources = [Source(f"{n}.wav", "", s, 0) for n, s in enumerate(sizes)]
    plan = plan_shards(sources, limit)
    assert [x for parts in plan.values() for x in parts] == sources
    for parts in plan.values():
        size = sum(len(header(x)) + x.size + padding(x.size) for x in parts)
        assert size + len(END) <= limit or len(parts) == 1


def test_a_file_larger_than_a_shard_has_one_of_its_own(tree, tmp_path):
    sounds.sndfile(tree / "id0/s/3.wav", sounds.speech(2), RATE)
    shard_tree(tree, tmp_path / "out", SMALL)
    assert members(tmp_path / "out") == originals(tree)


def test_webdataset_reads_them(tree, tmp_path):
    sounds.sndfile(tree / "id0/s/größe 1.wav", sounds.speech(1), RATE)
    sounds.sndfile(tree / f"id0/{'long' * 40}.wav", sounds.speech(1), RATE)
    shard_tree(tree, tmp_path / "out", SMALL)
    urls = [str(tmp_path / "out" / name) for name in tars(tmp_path / "out")]
    data = webdataset.WebDataset(urls, shardshuffle=False)
    found = {f"{x['__key__']}.wav": x["wav"] for x in data}
    assert found == originals(tree)
    assert len(found) == 12


def test_gnu_tar_unpacks_them(tree, tmp_path):
    sounds.sndfile(tree / f"id0/{'ä' * 80}.wav", sounds.speech(1), RATE)
    shard_tree(tree, tmp_path / "out", 1)
    (tmp_path / "there").mkdir()
    subprocess.run(
        ["tar", "-xf", tmp_path / "out/shard-000000.tar"],
        cwd=tmp_path / "there",
        check=True,
    )
    assert originals(tmp_path / "there") == originals(tree)


def test_what_a_corpus_says_of_itself_goes_along(tree, tmp_path):
    (tree / "corpus.json").write_text('{"language": "de"}')
    shard_tree(tree, tmp_path / "out")
    assert auto.read_corpus(tmp_path / "out") == {"language": "de"}


def test_shards_of_shards_of_another_size(tree, tmp_path):
    shard_tree(tree, tmp_path / "small", SMALL)
    counts = shard_tree(tmp_path / "small", tmp_path / "one", 1)
    assert counts["shards"] == 1 and counts["packed"] == 10
    shard_tree(tree, tmp_path / "direct", 1)
    name = "shard-000000.tar"
    assert (tmp_path / "one" / name).read_bytes() == (
        tmp_path / "direct" / name
    ).read_bytes()


def test_shards_can_be_converted(tree, tmp_path):
    shard_tree(tree, tmp_path / "shards", SMALL)
    for folder, out in ((tree, "a"), (tmp_path / "shards", "b")):
        convert.main(
            [f"--data_folder={folder}", f"--output_folder={tmp_path / out}"]
        )
    files = sorted(path.name for path in (tmp_path / "a").rglob("*.flac"))
    assert len(files) == 10
    for path in (tmp_path / "a").rglob("*.flac"):
        same = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert same.read_bytes() == path.read_bytes()


# --------------------------- what cannot be packed ---------------------------


def test_what_cannot_be_read_is_named(tree, tmp_path, monkeypatch):
    os.mkfifo(tree / "pipe.wav")
    (tree / "gone.wav").symlink_to("nowhere")
    (tree / "two\nlines.wav").write_bytes(b"x")
    (tree / "text.wav").write_text("no audio")  # for preparation to find
    (tree / "empty.wav").touch()
    append = packing.open_bytes

    def refuse(source):
        if source.path == "id1/s/3.wav":
            raise PermissionError(13, "Permission denied")
        return append(source)

    monkeypatch.setattr(packing, "open_bytes", refuse)
    counts = shard_tree(tree, tmp_path / "out", SMALL, num_workers=1)
    assert failures(tmp_path / "out") == {
        "gone.wav": "unreadable: No such file or directory",
        "id1/s/3.wav": "unreadable: Permission denied",
        "pipe.wav": "no regular file",
        "two\\nlines.wav": "name cannot be written to a table",
    }
    assert (counts["packed"], counts["failed"]) == (11, 4)
    found = members(tmp_path / "out")
    assert "id1/s/3.wav" not in found and len(found) == 11
    monkeypatch.undo()
    counts = shard_tree(tree, tmp_path / "out", SMALL, num_workers=1)
    assert (counts["packed"] + counts["done before"]) == 12
    assert counts["failed"] == 3 and counts["packed"] < 7
    assert "id1/s/3.wav" in members(tmp_path / "out")


def test_a_file_that_fails_in_its_middle_leaves_no_trace(
    tree, tmp_path, monkeypatch
):
    class Broken:
        def __init__(self, file):
            self.file, self.times = file, 0

        def read(self, count):
            self.times += 1
            if self.times > 2:
                raise OSError(5, "Input/output error")
            return self.file.read(count)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    monkeypatch.setattr(packing, "COPY_BYTES", 1000)
    append = packing.open_bytes

    def breaking(source):
        file = append(source)
        return Broken(file) if source.path == "id0/s/2.wav" else file

    monkeypatch.setattr(packing, "open_bytes", breaking)
    shard_tree(tree, tmp_path / "out", 1, num_workers=1)
    wanted = originals(tree)
    del wanted["id0/s/2.wav"]
    assert members(tmp_path / "out") == wanted
    assert failures(tmp_path / "out") == {
        "id0/s/2.wav": "unreadable: Input/output error"
    }


def test_nothing_at_all_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(ValueError, match="in holds no audio"):
        shard_tree(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in/a.wav").symlink_to("nowhere")
    with pytest.raises(ValueError, match="none of 1 files .* a.wav: unreadab"):
        shard_tree(tmp_path / "in", tmp_path / "out")
    assert os.listdir(tmp_path) == ["in"]
    os.mkfifo(tmp_path / "in/b.wav")
    with pytest.raises(ValueError, match="none of 2 files"):
        shard_tree(tmp_path / "in", tmp_path / "out")


# ---------------------------- again, and killed ------------------------------


def test_a_second_run_leaves_all_as_it_is(tree, tmp_path):
    out = tmp_path / "out"
    shard_tree(tree, out, SMALL)
    first = {name: (out / name).stat() for name in tars(out)}
    counts = shard_tree(tree, out, SMALL)
    assert counts["packed"] == 0 and counts["done before"] == 10
    assert {name: (out / name).stat() for name in tars(out)} == first
    content = (out / "shard-000001.tar").read_bytes()
    (out / "shard-000001.tar").write_bytes(content[:-700])  # badly copied
    (out / "shard-000002.tar").unlink()
    counts = shard_tree(tree, out, SMALL)
    assert 0 < counts["packed"] < 7
    assert (out / "shard-000001.tar").read_bytes() == content
    assert members(out) == originals(tree)


def pack_slowly(data, out):
    """In a process to be killed: each file takes a while."""
    append = packing.append

    def slowly(file, source):
        time.sleep(0.05)
        append(file, source)

    packing.append = slowly
    shard_tree(data, out, SMALL, num_workers=1)


def test_a_killed_run_leaves_whole_tars_and_is_gone_on_with(tree, tmp_path):
    wanted, out = tmp_path / "wanted", tmp_path / "out"
    shard_tree(tree, wanted, SMALL)
    process = multiprocessing.get_context("fork").Process(
        target=pack_slowly, args=(tree, out)
    )
    process.start()
    deadline = time.monotonic() + 60
    while len(tars(out)) < 2:
        assert time.monotonic() < deadline and process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    there = tars(out)
    assert 2 <= len(there) < len(tars(wanted))
    counts = shard_tree(tree, out, SMALL)
    assert counts["done before"] >= 2
    assert counts["done before"] + counts["packed"] == 10
    names = sorted(os.listdir(out))
    assert names == sorted(os.listdir(wanted))  # and no partial file
    for name in names:
        assert (out / name).read_bytes() == (wanted / name).read_bytes()


def pack_with_little_disk(data, out, results):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15000, 15000))
    try:
        shard_tree(data, out, SMALL, num_workers=1)
    except OSError as error:
        results.put((error.filename, error.strerror))
    results.put("no error")


def test_a_full_disk_ends_it_with_the_name_of_a_tar(tree, tmp_path):
    """It is not the original that is broken then."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(
        target=pack_with_little_disk, args=(tree, tmp_path / "out", results)
    )
    process.start()
    name, reason = results.get(timeout=60)
    process.join()
    assert name.endswith(".tar") and reason == "File too large"
    assert not list((tmp_path / "out").glob("*shard-000000*"))
    shard_tree(tree, tmp_path / "out", SMALL)
    assert members(tmp_path / "out") == originals(tree)


@pytest.mark.parametrize("change", ["new", "gone", "other"])
def test_other_audio_needs_another_folder(tree, tmp_path, change):
    out = tmp_path / "out"
    shard_tree(tree, out, SMALL)
    if change == "new":
        sounds.sndfile(tree / "new.wav", sounds.speech(1), RATE)
    elif change == "gone":
        (tree / "id0/s/0.wav").unlink()
    else:
        os.utime(tree / "id0/s/0.wav", (0, 0))
    before = state_of(tmp_path)
    with pytest.raises(ValueError, match="removed or changed since .*: choose"):
        shard_tree(tree, out, SMALL)
    assert state_of(tmp_path) == before


def test_a_file_that_changes_meanwhile_ends_it(tree, tmp_path, monkeypatch):
    opened = packing.open_bytes

    def late(source):
        os.truncate(tree / "id1/s/9.wav", 3000)
        return opened(source)

    monkeypatch.setattr(packing, "open_bytes", late)
    with pytest.raises(ValueError, match="9.wav has changed while it was"):
        shard_tree(tree, tmp_path / "out", SMALL, num_workers=1)
    for name in tars(tmp_path / "out"):
        assert "9.wav" not in str(
            tarfile.open(tmp_path / "out" / name).getnames()
        )


# ------------------------- where it may be written --------------------------


def test_never_in_at_or_above_the_originals(tree, tmp_path):
    before = state_of(tmp_path)
    for out in (tree, tree / "new", tmp_path):
        with pytest.raises(ValueError, match="(is|holds|lies in) data_folder"):
            shard_tree(tree, out)
    assert state_of(tmp_path) == before


def test_a_folder_of_other_files_is_refused(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="not of an earlier packing"):
        shard_tree(tree, out)
    assert os.listdir(out) == ["thesis.txt"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shard_megabytes": 2}, "was made with shard_megabytes=0.02"),
        ({"data_folder": "other"}, "was made with data_folder="),
        ({"shard_megabytes": 0}, "--shard_megabytes=0 must be above 0"),
        ({"shard_megabytes": float("nan")}, "--shard_megabytes=nan must"),
        ({"num_workers": 0}, "--num_workers=0 must be at least 1"),
        ({"data_folder": "gone"}, "gone does not exist"),
    ],
)
def test_other_and_wrong_options(tree, tmp_path, options, message):
    (tmp_path / "other").mkdir()
    sounds.sndfile(tmp_path / "other/a.wav", sounds.speech(1), RATE)
    shard_tree(tree, tmp_path / "out", SMALL)
    options = {
        "data_folder": tree,
        "output_folder": tmp_path / "out",
        "shard_megabytes": SMALL,
    } | {
        key: tmp_path / value if key == "data_folder" else value
        for key, value in options.items()
    }
    before = state_of(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        shard_tree(**options)
    assert state_of(tmp_path) == before


# ------------------------------- preparation ---------------------------------


def table(folder, name):
    with open(folder / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_dirty_audio_is_prepared_as_from_files(tmp_path):
    """Every kind of bad file: the same utterances, the same reasons."""
    dirty.make_corpus(tmp_path / "data")
    counts = shard_tree(tmp_path / "data", tmp_path / "shards", 0.5)
    assert counts["shards"] > 2
    for name in ("data", "shards"):
        auto.prepare(tmp_path / name, tmp_path / f"prepared_{name}")
    loose, packed = tmp_path / "prepared_data", tmp_path / "prepared_shards"
    wanted, found = table(loose, "train.csv"), table(packed, "train.csv")
    assert len(found) > 20
    for row in found:
        place = PLACE.fullmatch(row["wav"])
        row["wav"] = place[4]
        assert place[1].startswith("shard-00000")
    assert found == wanted
    wanted = {tuple(x.values()) for x in table(loose, "excluded.csv")}
    found = {tuple(x.values()) for x in table(packed, "excluded.csv")}
    lost = {tuple(x) for x in failures(tmp_path / "shards").items()}
    assert found <= wanted
    assert {path for path, _ in wanted - found} == {path for path, _ in lost}


def test_sessions_speakers_and_trials_as_from_files(tree, tmp_path):
    for number in range(10):
        path = tree / f"id{number % 2}/s/{number}.wav"
        sounds.sndfile(path, sounds.speech(1 + number / 10), RATE)
    (tree / "list.txt").write_text("1 id0/s/0.wav id0/s/2\n0 id0/s/0 id0/s/4\n")
    shard_tree(tree, tmp_path / "shards", 0.1)
    for name, folder in (("a", tree), ("b", tmp_path / "shards")):
        auto.prepare(
            folder, tmp_path / name, trial_lists=str(tree / "list.txt")
        )
    for name in ("train.csv", "test.csv", "speakers.csv", "excluded.csv"):
        wanted, found = (table(tmp_path / x, name) for x in "ab")
        for row in [*wanted, *found]:
            row.pop("wav", None)
        assert found == wanted, name
    assert (tmp_path / "a/trials/list.txt").read_text() == (
        tmp_path / "b/trials/list.txt"
    ).read_text()
    assert len(table(tmp_path / "b", "train.csv")) == 5


def test_a_changed_tar_is_prepared_again(tree, tmp_path, caplog):
    for number in range(10):
        path = tree / f"id{number % 2}/s/{number}.wav"
        sounds.sndfile(path, sounds.speech(1 + number / 10), RATE)
    out = tmp_path / "shards"
    shard_tree(tree, out, 0.1)
    auto.prepare(out, tmp_path / "prepared")
    index = json.loads((tmp_path / "prepared/tars.json").read_text())
    assert list(index) == tars(out)
    caplog.set_level("INFO")
    auto.prepare(out, tmp_path / "prepared")
    assert "is up to date" in caplog.text
    (out / "shard-000001.tar").unlink()
    auto.prepare(out, tmp_path / "prepared")
    assert len(table(tmp_path / "prepared", "train.csv")) < 10
    before = len(table(tmp_path / "prepared", "train.csv"))
    with tarfile.open(out / "shard-000000.tar", "a") as tar:
        tar.add(tree / "id0/s/2.wav", "id9/s/2.wav")
    auto.prepare(out, tmp_path / "prepared")
    assert len(table(tmp_path / "prepared", "train.csv")) == before + 1


def test_shards_of_others_are_own_audio(tmp_path):
    """As webdataset writes them: a text beside each sound."""
    for number in range(2):
        path = str(tmp_path / f"data/train-{number}.tar")
        (tmp_path / "data").mkdir(exist_ok=True)
        with webdataset.TarWriter(path) as writer:
            for n in range(3):
                sounds.sndfile(
                    tmp_path / "x.flac", sounds.speech(1 + n / 10), RATE
                )
                writer.write(
                    {
                        "__key__": f"{n:06d}",  # begins anew in every tar
                        "flac": (tmp_path / "x.flac").read_bytes(),
                        "json": {"text": "hello"},
                        "txt": "hello",
                    }
                )
    auto.prepare(tmp_path / "data", tmp_path / "prepared")
    rows = table(tmp_path / "prepared", "train.csv")
    assert [row["ID"] for row in rows] == [
        f"train-{n}.tar/{key:06d}" for n in range(2) for key in range(3)
    ]
    assert len({row["session"] for row in rows}) == 6
    assert not table(tmp_path / "prepared", "excluded.csv")
    listing = list_audio(tmp_path / "data/train-0.tar")
    assert list(listing.files) == [f"{key:06d}.flac" for key in range(3)]
    auto.prepare(tmp_path / "data/train-0.tar", tmp_path / "one")
    assert [row["ID"] for row in table(tmp_path / "one", "train.csv")] == [
        f"{key:06d}" for key in range(3)
    ]
