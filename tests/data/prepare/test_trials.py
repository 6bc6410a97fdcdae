"""Trial lists against a corpus."""

import pytest

from ssrl_brain.data.prepare import folder, voxceleb
from ssrl_brain.data.prepare.auto import prepare
from ssrl_brain.data.prepare.trials import (
    find_trial_lists,
    leave_out_test_speakers,
    match_trials,
    refuse_empty,
    refuse_missing,
    split_missing,
    write_trials,
)
from ssrl_brain.system.files import read_json

PATHS = [
    "wav/id1/a/1.wav",
    "wav/id1/b/1.wav",
    "wav/id2/a/1.wav",
    "wav/id3/a/1.wav",
]


def match(tmp_path, text, layout=voxceleb, paths=PATHS, excluded=()):
    (tmp_path / "x.txt").write_text(text)
    lists = {"x": tmp_path / "x.txt"}
    trials, reasons = match_trials(
        lists, layout.entries(paths), excluded, layout
    )
    usable, missing = split_missing(trials, reasons)
    refuse_missing(lists, missing)
    assert usable == trials
    return trials


def test_names_match_by_path_id_or_without_extension(tmp_path):
    trials = match(
        tmp_path, "1 wav/id1/a/1.wav id1/b/1\n\n0 id1/a/1.wav id2/a/1.flac\n"
    )
    assert trials == {
        "x": [(1, 1, "id1/a/1", "id1/b/1"), (3, 0, "id1/a/1", "id2/a/1")]
    }


def test_a_file_that_was_left_out_gives_its_reason(tmp_path):
    excluded = [("wav/id9/a/1.m4a", "m4a cannot be read: why")]
    with pytest.raises(ValueError, match="line 1: id9/a/1 .*: m4a cannot"):
        match(tmp_path, "1 id9/a/1 id1/a/1\n", excluded=excluded)
    with pytest.raises(ValueError, match="line 1: id8/a/1 .*: no such audio"):
        match(tmp_path, "1 id1/a/1 id8/a/1\n", excluded=excluded)


def test_an_empty_list_is_refused(tmp_path):
    with pytest.raises(ValueError, match="x.txt has no trials"):
        match(tmp_path, "\n")


def test_speakers_of_trials_leave_training_with_all_their_files():
    entries = voxceleb.entries(PATHS)
    kept = leave_out_test_speakers(entries, {"id1/a/1", "id3/a/1"})
    assert [entry.id for entry in kept] == ["id1/a/1", "id2/a/1", "id3/a/1"]


def test_unknown_speakers_leave_only_what_is_named():
    entries = folder.entries(["a.wav", "b.wav"])  # both have speaker None
    assert leave_out_test_speakers(entries, {"a"}) == entries


def test_missing_trials_are_counted_named_and_left_out():
    trials = {
        "x": [(1, 1, "a", "b"), (7, 0, "a", "c")],
        "y": [(2, 0, "c", "d"), (3, 1, "c", "c"), (4, 1, "b", "a")],
    }
    usable, missing = split_missing(trials, {"c": "silent", "d": "empty"})
    assert usable == {"x": trials["x"][:1], "y": trials["y"][2:]}
    assert missing == [
        ("x", 7, "c", "silent"),
        ("y", 2, "c", "silent"),
        ("y", 2, "d", "empty"),
        ("y", 3, "c", "silent"),
    ]
    paths = {"x": "x.txt", "y": "y.txt"}
    with pytest.raises(ValueError, match="x.txt, line 7: c .*used: silent; 3"):
        refuse_missing(paths, missing)
    refuse_missing(paths, [])


def test_a_list_of_which_nothing_is_left_is_refused():
    with pytest.raises(ValueError, match="y.txt: every trial"):
        refuse_empty({"x": "x.txt", "y": "y.txt"}, {"x": [1], "y": []})


@pytest.mark.parametrize("skip", [False, True])
def test_prepared_lists_and_tables_without_missing_trials(
    tmp_path, tiny_corpus, skip
):
    text = (tiny_corpus["data_folder"] / "trials.txt").read_text()
    bad = tmp_path / "list.txt"
    bad.write_text(text + "1 id00004/s0/0.wav id00003/s9/0.wav\n0 x y\n")
    prepared = tmp_path / "prepared"
    options = {
        "data_folder": tiny_corpus["data_folder"],
        "prepared_folder": prepared,
        "trial_lists": str(bad),
        "min_seconds": 0.3,
        "num_workers": 1,
        "skip_missing_trials": skip,
    }
    if not skip:
        with pytest.raises(ValueError, match=r"2 trial\(s\) name 3 such"):
            prepare(**options)
        assert not prepared.exists()
        return
    prepare(**options)
    lines = (prepared / "trials/list.txt").read_text().splitlines()
    assert len(lines) == 27
    rows = (prepared / "missing_trials.csv").read_text().splitlines()
    assert rows[1:] == [
        "list,28,id00003/s9/0.wav,no such audio file",
        "list,29,x,no such audio file",
        "list,29,y,no such audio file",
    ]
    counts = read_json(prepared / "prepared.json")["counts"]
    assert counts["missing trials"] == {"list": 2}


def test_a_list_of_one_kind_is_told_by_its_path(tmp_path, tiny_corpus, caplog):
    text = (tiny_corpus["data_folder"] / "trials.txt").read_text()
    for kind in "10":
        lines = [x for x in text.splitlines(True) if x.startswith(kind)]
        (tmp_path / f"only_{kind}.txt").write_text("".join(lines))
    prepare(
        data_folder=tiny_corpus["data_folder"],
        prepared_folder=tmp_path / "prepared",
        trial_lists=f"trials.txt,{tmp_path}/only_1.txt,{tmp_path}/only_0.txt",
        min_seconds=0.3,
        num_workers=1,
    )
    told = [x.getMessage() for x in caplog.records if x.levelname == "WARNING"]
    assert [x.partition(",")[0] for x in told] == [
        f"{tmp_path}/only_1.txt has no trials of different speakers",
        f"{tmp_path}/only_0.txt has no trials of the same speaker",
    ]
    assert len(list((tmp_path / "prepared/trials").iterdir())) == 3


@pytest.mark.parametrize(
    ("pairs", "one_session", "warned"),
    [("00 00 01", 2, True), ("00 01", 1, False), ("01 01", 0, False)],
)
def test_a_list_within_sessions_is_told_and_counted(
    tmp_path, tiny_corpus, caplog, pairs, one_session, warned
):
    lines = ["0 id00004/s0/0 id00005/s0/0\n"]
    for number, (first, second) in enumerate(pairs.split()):
        sides = f"id00004/s{first}/{number % 2} id00004/s{second}/2"
        lines.append(f"1 {sides}\n")
    (tmp_path / "mine.txt").write_text("".join(lines))
    prepare(
        data_folder=tiny_corpus["data_folder"],
        prepared_folder=tmp_path / "prepared",
        trial_lists=str(tmp_path / "mine.txt"),
        min_seconds=0.3,
        num_workers=1,
    )
    counts = read_json(tmp_path / "prepared/prepared.json")["counts"]
    assert counts["trials of one session"] == {"mine": one_session}
    told = [x.getMessage() for x in caplog.records if x.levelname == "WARNING"]
    assert [x.startswith(f"{tmp_path}/mine.txt: 2 of its 3") for x in told] == (
        [True] if warned else []
    )


def test_lists_are_found_here_first_then_with_the_data(tmp_path, monkeypatch):
    here, data = tmp_path / "here", tmp_path / "data"
    for place in (here, data):
        place.mkdir()
        (place / "both.txt").touch()
    (data / "far.txt").touch()
    monkeypatch.chdir(here)
    found = find_trial_lists("both.txt, far.txt,", data)
    assert {name: path.resolve() for name, path in found.items()} == {
        "both": here / "both.txt",
        "far": data / "far.txt",
    }
    assert find_trial_lists(None, data) == {}
    with pytest.raises(FileNotFoundError, match="none.txt exists neither"):
        find_trial_lists(["none.txt"], data)


def test_written_lists_have_ids_only(tmp_path):
    write_trials(
        tmp_path / "trials", {"x": [(1, 1, "a", "b"), (4, 0, "c", "d")]}
    )
    text = (tmp_path / "trials" / "x.txt").read_text()
    assert text == "1 a b\n0 c d\n"
