"""Files that are whole or absent."""

import os

import pytest

from ssrl_brain.system.files import read_json, write_json, write_text


def test_text_replaces_a_file_and_makes_its_folder(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "eins")
    write_text(tmp_path / "a" / "b.txt", "zwei ä")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "zwei ä"
    assert os.listdir(tmp_path / "a") == ["b.txt"]


def test_a_failed_write_leaves_the_old_text(tmp_path):
    write_text(tmp_path / "b.txt", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "b.txt", "\udcff")
    assert (tmp_path / "b.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None, True], "ä": "x"}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert read_json(tmp_path / "none.json") is None


def test_json_without_standard_meaning_is_refused(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ValueError, match="x.json is not valid JSON"):
        read_json(tmp_path / "x.json")
