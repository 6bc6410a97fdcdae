"""VoxCeleb 1 and 2, MUSAN and RIRS_NOISES, in small."""

import contextlib
import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import sounds

from ssrl_brain.data import audio_files
from ssrl_brain.data.audio_files import list_audio
from ssrl_brain.data.prepare import auto, voxceleb
from ssrl_brain.data.trials import read_trials
from ssrl_brain.system.ours import MARKER

RATE = 4000
SPEECH = 0.1 * np.sin(np.arange(2 * RATE) / 3)


def write(path, samples=SPEECH, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, **options)


def read(folder, name):
    with open(folder / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(folder):
    return json.loads((folder / "prepared.json").read_text())


def snapshot(folder):
    """Everything about a folder that preparation could have changed."""
    return {
        path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def voxceleb1(tmp_path):
    """Three speakers; id10003 has two sessions and is the test speaker."""
    data = tmp_path / "voxceleb1"
    for name in (
        "id10001/7w0IBEWc9Qw/00001",
        "id10001/7w0IBEWc9Qw/00002",
        "id10001/zELwAz2W6hM/00001",
        "id10002/0_laIeN-Q44/00001",
        "id10003/a/00001",
        "id10003/a/00002",
        "id10003/b/00001",
    ):
        write(data / "wav" / f"{name}.wav")
    (data / "veri_test.txt").write_text(
        "1 id10003/a/00001.wav id10003/b/00001.wav\n"
        "1 id10003/a/00001.wav id10003/b/00001.wav\n"
    )
    return data


def test_tables_of_voxceleb1(voxceleb1, tmp_path, caplog):
    out = tmp_path / "prepared"
    before = snapshot(voxceleb1)
    with caplog.at_level("INFO"):
        auto.prepare(voxceleb1, out, trial_lists="veri_test.txt")
    assert snapshot(voxceleb1) == before
    assert "layout: voxceleb" in caplog.text
    assert "4 utterances, 0.0 h, 3 sessions; 2 test" in caplog.text

    train = read(out, "train.csv")
    assert train[0] == {
        "ID": "id10001/7w0IBEWc9Qw/00001",
        "wav": "wav/id10001/7w0IBEWc9Qw/00001.wav",
        "duration": "2.000000",
        "num_frames": "8000",
        "sample_rate": "4000",
        "session": "0",
    }
    assert [row["ID"] for row in train] == sorted(row["ID"] for row in train)
    assert [row["session"] for row in train] == ["0", "0", "1", "2"]
    assert not {"speaker", "spk_id"} & set(train[0])

    test = read(out, "test.csv")
    assert [row["ID"] for row in test] == ["id10003/a/00001", "id10003/b/00001"]
    assert [row["session"] for row in test] == ["3", "4"]
    speakers = {row["ID"]: row["speaker"] for row in read(out, "speakers.csv")}
    assert set(speakers) == {row["ID"] for row in train + test}
    assert all(id.startswith(speaker) for id, speaker in speakers.items())

    labels, enrol, _ = read_trials(out / "trials" / "veri_test.txt")
    assert labels.tolist() == [1, 1] and enrol[0] == "id10003/a/00001"
    counts = summary(out)["counts"]
    assert counts["test speaker"] == 1  # id10003/a/00002: in no list
    assert counts["duplicate trials"] == {"veri_test": 1}
    assert read(out, "excluded.csv") == []


@pytest.mark.parametrize("extra", [True, False])
def test_both_editions_below_one_parent(tmp_path, monkeypatch, extra):
    monkeypatch.setattr(audio_files, "has_ffmpeg", lambda: extra)
    data = tmp_path / "data"
    video = data / "voxceleb2/dev/aac/id00012/21Uxsk56VDQ"
    write(data / "voxceleb1/wav/id10001/a/00001.wav")
    write(video / "00001.wav")
    write(video / "00002.flac")
    (video / "00001.m4a").touch()  # converted: not worth a word
    sounds.ffmpeg(video / "00003.m4a", "aac", sounds.speech(2), 16000)
    auto.prepare(data, tmp_path / "out")
    train = read(tmp_path / "out", "train.csv")
    m4a = "voxceleb2/dev/aac/id00012/21Uxsk56VDQ/00003.m4a"
    assert [row["ID"] for row in train] == [
        "id00012/21Uxsk56VDQ/00001",
        "id00012/21Uxsk56VDQ/00002",
        *(["id00012/21Uxsk56VDQ/00003"] if extra else []),
        "id10001/a/00001",
    ]
    assert not extra or train[2]["wav"] == m4a
    assert not (tmp_path / "out" / "test.csv").exists()
    reason = "m4a cannot be read: pip install .[m4a], or convert it"
    assert read(tmp_path / "out", "excluded.csv") == (
        [] if extra else [{"path": m4a, "reason": reason}]
    )


def test_the_extra_being_installed_makes_it_anew(tmp_path, monkeypatch):
    video = tmp_path / "data/dev/aac/id00012/x"
    write(video / "00001.wav")
    sounds.ffmpeg(video / "00002.m4a", "aac", sounds.speech(2), 16000)
    with monkeypatch.context() as patch:
        patch.setattr(audio_files, "has_ffmpeg", lambda: False)
        auto.prepare(tmp_path / "data", tmp_path / "out")
    assert len(read(tmp_path / "out", "train.csv")) == 1
    auto.prepare(tmp_path / "data", tmp_path / "out")
    assert len(read(tmp_path / "out", "train.csv")) == 2


def test_nothing_but_m4a_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_files, "has_ffmpeg", lambda: False)
    (tmp_path / "data/dev/aac/id00012/x").mkdir(parents=True)
    (tmp_path / "data/dev/aac/id00012/x/00001.m4a").touch()
    with pytest.raises(
        ValueError, match=r"read: pip install \.\[m4a\], or conv"
    ):
        auto.prepare(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", sorted(audio_files.ALL_SUFFIXES))
def test_any_format_has_the_layout(suffix):
    paths = [f"dev/aac/id00012/x/{n}{suffix.upper()}" for n in (1, 2)]
    assert [entry.id for entry in voxceleb.entries([*paths, "a/b.wav"])] == [
        "id00012/x/1",
        "id00012/x/2",
    ]
    assert auto.find_layout("auto", paths) == "voxceleb"


def test_every_kind_of_bad_file_is_named(voxceleb1, tmp_path):
    bad = voxceleb1 / "wav/id10001/bad"
    write(bad / "1.wav", SPEECH[: RATE - 1])
    write(bad / "2.wav", 0 * SPEECH)
    write(bad / "3.wav", np.append(SPEECH, np.nan), subtype="FLOAT")
    write(bad / "4.wav", SPEECH)
    (bad / "4.wav").write_bytes((bad / "4.wav").read_bytes()[:9000])
    (bad / "5.wav").write_text("no audio")
    (bad / "6.wav").touch()
    write(voxceleb1 / "wav2/id10001/7w0IBEWc9Qw/00001.wav")
    write(voxceleb1 / "stray.wav")
    auto.prepare(voxceleb1, tmp_path / "out", num_workers=2)
    rows = read(tmp_path / "out", "excluded.csv")
    reasons = {row["path"]: row["reason"].split(":")[0] for row in rows}
    assert reasons == {
        "stray.wav": voxceleb.MISMATCH,
        "wav/id10001/bad/1.wav": "too short",
        "wav/id10001/bad/2.wav": "silent",
        "wav/id10001/bad/3.wav": "NaN or infinite",
        "wav/id10001/bad/4.wav": "truncated",
        "wav/id10001/bad/5.wav": "unreadable",
        "wav/id10001/bad/6.wav": "empty",
        "wav2/id10001/7w0IBEWc9Qw/00001.wav": "duplicate ID",
    }
    counts = summary(tmp_path / "out")["counts"]
    assert sum(counts["left out"].values()) == 8 and counts["train"] == 7


def test_only_bad_files_are_an_error_with_counts(tmp_path):
    write(tmp_path / "data/id1/a/1.wav", 0 * SPEECH)
    write(tmp_path / "data/id1/a/2.wav", SPEECH[:9])
    with pytest.raises(ValueError, match="no usable audio: 1 silent, 1 too sh"):
        auto.prepare(tmp_path / "data", tmp_path / "out")
    assert os.listdir(tmp_path) == ["data"]


@pytest.mark.parametrize(
    "line, message",
    [
        ("1 id10003/a/00001.wav id10003/a/9.wav", "9.wav .*: no such audio"),
        ("1 id10003/a/00001.wav", "expected 'label enrol test'"),
        ("1 id10003/a/00001 id10003/c/00001", "id10003/c/00001 .*: too short"),
    ],
)
def test_trials_that_cannot_be_scored(voxceleb1, tmp_path, line, message):
    write(voxceleb1 / "wav/id10003/c/00001.wav", SPEECH[:9])
    path = tmp_path / "list.txt"
    path.write_text(f"0 id10003/a/00001 id10001/7w0IBEWc9Qw/00001\n{line}\n")
    with pytest.raises(ValueError, match=f"list.txt, line 2: .*{message}") as e:
        auto.prepare(voxceleb1, tmp_path / "out", trial_lists=[path])
    assert "\n" not in str(e.value)
    assert not (tmp_path / "out").exists()


def test_speakers_of_either_column_and_any_list_leave_training(
    voxceleb1, tmp_path
):
    more = tmp_path / "more.txt"
    more.write_text("nontarget wav/id10003/a/00002 id10002/0_laIeN-Q44/00001\n")
    lists = f"veri_test.txt, {more}"
    auto.prepare(voxceleb1, tmp_path / "out", trial_lists=lists)
    train = read(tmp_path / "out", "train.csv")
    assert {row["ID"][:7] for row in train} == {"id10001"}
    assert len(read(tmp_path / "out", "test.csv")) == 4
    assert len(list((tmp_path / "out" / "trials").iterdir())) == 2


def test_a_second_run_does_nothing(voxceleb1, tmp_path, caplog):
    out = tmp_path / "out"
    auto.prepare(voxceleb1, out, trial_lists="veri_test.txt")
    before = snapshot(out)
    with caplog.at_level("DEBUG"):
        auto.prepare(
            voxceleb1, out, trial_lists=["veri_test.txt"], num_workers=1
        )
    assert snapshot(out) == before
    assert "up to date" in caplog.text


@pytest.mark.parametrize("change", ["option", "file", "list", "noise"])
def test_any_change_makes_it_anew(voxceleb1, tmp_path, change):
    options = {"trial_lists": "veri_test.txt"}
    auto.prepare(voxceleb1, tmp_path / "out", **options)
    before = summary(tmp_path / "out")
    if change == "option":
        options["min_seconds"] = 1.5
    elif change == "file":
        write(voxceleb1 / "wav/id10001/new/00001.wav")
    elif change == "list":
        with open(voxceleb1 / "veri_test.txt", "a") as file:
            file.write("0 id10003/a/00002.wav id10003/b/00001.wav\n")
    else:
        write(tmp_path / "musan/noise/a.wav")
        options["noise_folder"] = tmp_path / "musan"
    auto.prepare(voxceleb1, tmp_path / "out", **options)
    assert summary(tmp_path / "out")["made_from"] != before["made_from"]
    assert not [name for name in os.listdir(tmp_path) if name[0] == "."]


def use(folder, told, options):
    """A run that has prepared and goes on reading."""
    with contextlib.ExitStack() as held:
        auto.prepare(*folder, **options, hold=held)
        told.set()
        time.sleep(60)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("by_earlier_version", [False, True])
def test_what_a_run_reads_is_not_prepared_anew(
    voxceleb1, tmp_path, by_earlier_version
):
    folders = (voxceleb1, tmp_path / "out")
    auto.prepare(*folders, num_workers=1)
    if by_earlier_version:
        (tmp_path / "out" / MARKER).unlink()
    context = multiprocessing.get_context("fork")
    told = context.Event()
    process = context.Process(target=use, args=(folders, told, {}))
    process.start()
    assert told.wait(60)
    before = snapshot(tmp_path / "out")
    auto.prepare(*folders, hold=contextlib.ExitStack())  # with it: any number
    with pytest.raises(ValueError, match="is used by another run and was made"):
        auto.prepare(*folders, num_workers=1, min_seconds=1.5)
    assert snapshot(tmp_path / "out") == before
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    auto.prepare(*folders, num_workers=1, min_seconds=1.5)  # made anew
    assert summary(tmp_path / "out")["made_from"]["min_seconds"] == 1.5


def test_a_failed_run_leaves_the_earlier_folder(voxceleb1, tmp_path):
    auto.prepare(voxceleb1, tmp_path / "out")
    before = snapshot(tmp_path / "out")
    with pytest.raises(ValueError, match="no usable audio"):
        auto.prepare(voxceleb1, tmp_path / "out", min_seconds=99)
    assert snapshot(tmp_path / "out") == before


def test_audio_folders_are_never_written_to(voxceleb1, tmp_path):
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match=" (lies in|is) data_folder "):
        auto.prepare(voxceleb1, voxceleb1 / "prepared")
    with pytest.raises(ValueError, match=" (lies in|is) data_folder "):
        auto.prepare(voxceleb1, voxceleb1)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("key", ["data_folder", "noise_folder", "rir_folder"])
def test_a_missing_folder_names_its_option(voxceleb1, tmp_path, key):
    options = {"data_folder": voxceleb1, "prepared_folder": tmp_path / "out"}
    options[key] = tmp_path / "missing"
    with pytest.raises(FileNotFoundError, match=f"{key} .* does not exist"):
        auto.prepare(**options)


@pytest.mark.parametrize("kind", ["foreign file", "file", "link"])
def test_what_stands_in_the_place_of_the_prepared_folder(
    voxceleb1, tmp_path, kind
):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "foreign file":
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    else:
        (tmp_path / "disk").mkdir()
        out.symlink_to(tmp_path / "disk")
        auto.prepare(voxceleb1, out)
        assert out.is_symlink() and (tmp_path / "disk/train.csv").is_file()
        return
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="thesis.txt|is a file"):
        auto.prepare(voxceleb1, out)
    assert snapshot(tmp_path) == before


def test_a_test_set_alone_can_be_prepared(voxceleb1, tmp_path, caplog):
    path = tmp_path / "all.txt"
    path.write_text(
        "0 id10001/7w0IBEWc9Qw/00001 id10002/0_laIeN-Q44/00001\n"
        "1 id10003/a/00001 id10003/b/00001\n"
    )
    auto.prepare(voxceleb1, tmp_path / "out", trial_lists=[path])
    assert "Nothing to train on" in caplog.text
    assert read(tmp_path / "out", "train.csv") == []
    assert len(read(tmp_path / "out", "test.csv")) == 4


def test_scan_reads_speaker_and_session_off_the_path(voxceleb1):
    entries = voxceleb.entries(list_audio(voxceleb1).files)
    assert len(entries) == 7
    assert entries[-1] == (
        "wav/id10003/b/00001.wav",
        "id10003/b/00001",
        "id10003/b",
        "id10003",
    )


def test_command_line(voxceleb1, tmp_path, repository):
    command = [sys.executable, "-m", "ssrl_brain.data.prepare.auto"]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = subprocess.run(
        [
            *command,
            f"--data_folder={voxceleb1}",
            f"--prepared_folder={tmp_path / 'out'}",
            "--layout=voxceleb",
            "--trial_lists=veri_test.txt,none.txt",
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: trial list none.txt exists neither")
    assert "Traceback" not in done.stderr
