"""CN-Celeb's layout: sessions and speakers are in the names of the files."""

import csv
import shutil

from ssrl_brain.data.prepare import auto, cnceleb


def test_a_corpus_is_prepared_as_it_is(tiny_corpus, tmp_path):
    names = [
        "data/id00000/singing-01-001.wav",
        "data/id00000/singing-01-002.wav",
        "data/id00000/interview-01-003.wav",
        "data/id00001/live_broadcast-12-001.wav",
    ]
    files = sorted((tiny_corpus["data_folder"] / "wav").rglob("*.wav"))
    for name, source in zip(names, files, strict=False):
        (tmp_path / "cn" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / "cn" / name)
    out = tmp_path / "prepared"
    auto.prepare(tmp_path / "cn", out, min_seconds=0.3, num_workers=1)
    with open(out / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    sessions = {row["ID"]: row["session"] for row in rows}
    assert len(sessions) == 4 and len(set(sessions.values())) == 3
    same = "id00000/singing-01-001", "id00000/singing-01-002"
    assert sessions[same[0]] == sessions[same[1]]
    with open(out / "speakers.csv", newline="") as file:
        speakers = {row["speaker"] for row in csv.DictReader(file)}
    assert speakers == {"id00000", "id00001"}


def test_every_format_is_read():
    names = ["id1/singing-01-001.m4a", "data/id1/singing-01-002.OGG"]
    found = [entry.id for entry in cnceleb.entries(names)]
    assert found == ["id1/singing-01-001", "id1/singing-01-002"]


def test_what_is_not_of_the_layout_is_left_out():
    assert cnceleb.entries(["id1/a/singing-01-001.wav", "id1/x.flac"]) == []
