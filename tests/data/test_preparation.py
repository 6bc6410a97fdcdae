"""Work in parallel, and the summary of a prepared folder."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.preparation import (
    is_current,
    parallel_map,
    write_summary,
)
from ssrl_brain.system.ours import foreign

# ------------------------------ parallel map --------------------------------


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(), max_size=30), st.integers(1, 7))
def test_parallel_map_keeps_the_order(items, chunk):
    results = list(parallel_map(abs, items, num_workers=2, chunk=chunk))
    assert results == [abs(item) for item in items]


def test_errors_of_a_worker_reach_the_caller():
    with pytest.raises(ValueError):
        list(parallel_map(int, ["1", "x", "2"], num_workers=2, chunk=1))


# -------------------------------- summary ----------------------------------


def make(folder, text="1"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.csv").write_text(text)
    write_summary(folder, {"option": text}, counts={})


def test_a_folder_is_current_for_what_it_was_made_from(tmp_path):
    assert not is_current(tmp_path / "p", {"option": "1"})
    make(tmp_path / "p")
    assert is_current(tmp_path / "p", {"option": "1"})
    assert not is_current(tmp_path / "p", {"option": "2"})


@pytest.mark.parametrize("damage", ["remove", "shorten", "no summary"])
def test_an_incomplete_folder_is_not_current(tmp_path, damage):
    make(tmp_path / "p")
    table = tmp_path / "p" / "train.csv"
    if damage == "remove":
        table.unlink()
    elif damage == "shorten":
        table.write_text("")
    else:
        (tmp_path / "p" / "prepared.json").unlink()
    assert not is_current(tmp_path / "p", {"option": "1"})


def test_files_of_others_are_named(tmp_path):
    assert foreign(tmp_path / "p", "prepared") is None
    make(tmp_path / "p")
    (tmp_path / "p" / ".DS_Store").touch()
    assert foreign(tmp_path / "p", "prepared") is None
    (tmp_path / "p" / ".thesis.txt").write_text("mine")
    assert "holds .thesis.txt, which" in foreign(tmp_path / "p", "prepared")


def test_a_file_is_not_taken_for_a_prepared_folder(tmp_path):
    (tmp_path / "p").write_text("mine")
    assert not is_current(tmp_path / "p", {"option": "1"})
    assert foreign(tmp_path / "p", "prepared") == "is a file, not a folder"


def test_a_damaged_summary_is_reported(tmp_path):
    make(tmp_path / "p")
    (tmp_path / "p" / "prepared.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        is_current(tmp_path / "p", {"option": "1"})
