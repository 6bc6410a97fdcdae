"""Any folder of audio."""

import csv
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import sounds
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.prepare import auto, folder
from ssrl_brain.system.ours import MARKER


def write(path, rate=8000, channels=1, seconds=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.sin(np.arange(seconds * rate) / 5)
    kind = "OGG" if path.suffix == ".opus" else None
    soundfile.write(path, np.stack([wave] * channels, 1), rate, format=kind)


def read(folder, name):
    with open(folder / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def podcasts(tmp_path):
    data = tmp_path / "podcasts"
    write(data / "a b/one.MP3", rate=44100, channels=2)
    write(data / "a b/two.ogg")
    write(data / "deep/er/three.opus", rate=48000)
    write(data / "five.aiff")
    write(data / "same.flac")
    write(data / "same.wav", rate=16000)
    return data


def test_any_format_rate_and_depth(podcasts, tmp_path, caplog):
    with caplog.at_level("INFO"):
        auto.prepare(podcasts, tmp_path / "out")
    assert "layout: folder" in caplog.text
    train = read(tmp_path / "out", "train.csv")
    assert [row["ID"] for row in train] == [
        "a b/one",
        "a b/two",
        "deep/er/three",
        "five",
        "same.flac",
        "same.wav",
    ]
    assert [row["session"] for row in train] == list("012345")
    assert train[0]["sample_rate"] == "44100"
    assert float(train[0]["duration"]) == 2.0
    assert sorted(os.listdir(tmp_path / "out")) == [
        MARKER,
        "excluded.csv",
        "prepared.json",
        "train.csv",
    ]


def test_a_video_beside_its_sound_is_passed_over(podcasts, tmp_path):
    """Its sound was taken out of it; by itself it counts as audio."""
    wave = sounds.speech(2)
    for name in ("a b/two.mp4", "deep/new.mp4"):
        sounds.ffmpeg(podcasts / name, "aac", wave, 16000, video=True)
    auto.prepare(podcasts, tmp_path / "out")
    ids = [row["ID"] for row in read(tmp_path / "out", "train.csv")]
    assert len(ids) == 7 and "deep/new" in ids and "a b/two" in ids
    assert read(tmp_path / "out", "excluded.csv") == []


def test_trials_keep_the_files_they_name_out_of_training(podcasts, tmp_path):
    path = tmp_path / "mine.list"
    path.write_text("1 five.wav same.wav\n0 deep/er/three five\n")
    auto.prepare(podcasts, tmp_path / "out", trial_lists=str(path))
    assert len(read(tmp_path / "out", "train.csv")) == 3
    test = [row["ID"] for row in read(tmp_path / "out", "test.csv")]
    assert test == ["deep/er/three", "five", "same.wav"]
    assert (tmp_path / "out" / "trials" / "mine.txt").read_text() == (
        "1 five same.wav\n0 deep/er/three five\n"
    )
    assert not (tmp_path / "out" / "speakers.csv").exists()


def test_an_ambiguous_trial_is_refused(podcasts, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("1 five same\n")
    with pytest.raises(ValueError, match="line 1: same cannot be used"):
        auto.prepare(podcasts, tmp_path / "out", trial_lists=[path])


def test_lists_of_the_same_name_are_refused(podcasts, tmp_path):
    (tmp_path / "x.txt").write_text("1 five five\n")
    (podcasts / "x.txt").write_text("1 five five\n")
    lists = [tmp_path / "x.txt", podcasts / "x.txt"]
    with pytest.raises(ValueError, match="have the same name"):
        auto.prepare(podcasts, tmp_path / "out", trial_lists=lists)


def test_an_unknown_layout_names_the_known_ones(podcasts, tmp_path):
    with pytest.raises(ValueError, match="choose auto, voxceleb, cnceleb"):
        auto.prepare(podcasts, tmp_path / "out", layout="vox")


def test_an_empty_folder(tmp_path):
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match="data holds no audio"):
        auto.prepare(tmp_path / "data", tmp_path / "out")


@settings(max_examples=50, deadline=None)
@given(
    st.sets(
        st.from_regex(r"[ab](/[ab])?(\.wav)?\.(wav|flac|mp3)", fullmatch=True)
    )
)
def test_every_file_has_an_id_of_its_own(paths):
    entries = folder.entries(sorted(paths))
    assert [entry.path for entry in entries] == sorted(paths)
    assert len({entry.id for entry in entries}) == len(paths)
    assert len({entry.session for entry in entries}) == len(paths)


def test_two_preparations_of_a_folder_make_it_once(
    podcasts, tmp_path, monkeypatch, caplog
):
    made, write_corpus = [], auto.write_corpus

    def slowly(*args):
        made.append(args)
        time.sleep(0.2)
        return write_corpus(*args)

    monkeypatch.setattr(auto, "write_corpus", slowly)
    with caplog.at_level("INFO"), ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(auto.prepare, podcasts, tmp_path / "out", num_workers=1)
            for _ in range(2)
        ]
        assert [run.result() for run in runs] == [None, None]
    assert len(made) == 1
    assert "Waiting for another process" in caplog.text
    assert "was prepared meanwhile" in caplog.text
