"""The table of utterances."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.utterances import Strings, Utterances

HEADER = "ID,wav,duration,num_frames,sample_rate,session\n"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_strings_come_back(strings):
    packed = Strings(strings)
    assert list(packed) == strings and len(packed) == len(strings)


def test_strings_grow_and_are_handed_to_other_processes():
    names = Strings()
    for name in ("ä", "", "b"):
        names.append(name)
    assert list(names) == list(pickle.loads(pickle.dumps(names)))
    assert names.offsets.tolist() == [0, 2, 2, 3]
    assert names.bytes.tobytes() == "äb".encode()


@pytest.mark.parametrize("index", [-1, 2])
def test_strings_have_no_more_than_they_hold(index):
    with pytest.raises(IndexError):
        Strings(["a", "b"])[index]


def read(tmp_path, text):
    (tmp_path / "train.csv").write_text(text, encoding="utf-8")
    return Utterances.from_csv(tmp_path / "train.csv")


def test_a_table_by_column(tmp_path):
    table = read(
        tmp_path,
        HEADER + 'b,"x, y/b.wav",2.0,88200,44100,3\nä,ä.wav,0.5,8000,16000,0\n',
    )
    assert len(table) == 2
    assert list(table.ids) == ["b", "ä"]
    assert list(table.paths) == ["x, y/b.wav", "ä.wav"]
    assert table.num_frames.tolist() == [88200, 8000]
    assert table.sample_rates.tolist() == [44100, 16000]
    assert table.sessions.tolist() == [3, 0]
    assert table.durations.tolist() == [2.0, 0.5]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "found nothing: prepare again"),
        (HEADER, "has no utterance: check --data_folder"),
        ("ID,wav\na,b\n", "expected the columns .* found ID,wav"),
        (HEADER + "a,b,1,1,1\n", "has a broken row"),
        (HEADER + "a,b,1,many,1,0\n", "'many'.*prepare again"),
        (HEADER + "a,b,1,1.5,1,0\n", "'1.5'"),
        (HEADER.strip() + ",speaker\na,b,1,1,1,0,x\n", "expected the columns"),
    ],
)
def test_other_tables_are_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"train.csv.*{message}") as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)


def test_reading_takes_little_more_than_what_is_kept(tmp_path):
    """As lists of strings a table takes eight times as much."""
    rows = "".join(
        f"speaker{i // 90}/session{i // 9}/{i},speaker{i // 90}/session{i // 9}"
        f"/{i}.wav,8.0,{128000 + i},16000,{i // 9}\n"
        for i in range(20000)
    )
    (tmp_path / "train.csv").write_text(HEADER + rows)
    del rows
    tracemalloc.start()
    try:
        table = Utterances.from_csv(tmp_path / "train.csv")
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 20000 and kept > 20000 * 60
    assert peak < 1.3 * kept


def test_a_missing_table_names_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="prepare the data first"):
        Utterances.from_csv(tmp_path / "train.csv")


def test_fingerprint_follows_ids_and_their_order():
    def fingerprint(*ids):
        zeros = [0] * len(ids)
        return Utterances(ids, ids, zeros, zeros, zeros).fingerprint()

    assert fingerprint("a", "b") == fingerprint("a", "b")
    tables = [("a", "b"), ("b", "a"), ("ab", ""), ("a",), ("a", "b", "")]
    assert len({fingerprint(*ids) for ids in tables}) == len(tables)


def test_a_subset_is_a_table_of_its_own(tmp_path):
    rows = "".join(f"u{i},u{i}.wav,1.0,1600{i},16000,{i}\n" for i in range(4))
    table = read(tmp_path, HEADER + rows)
    some = table.subset([3, 1])
    assert list(some.ids) == ["u3", "u1"]
    assert list(some.paths) == ["u3.wav", "u1.wav"]
    assert some.num_frames.tolist() == [16003, 16001]
    assert some.sessions.tolist() == [3, 1]
    assert len(some.sample_rates) == 2
    assert table.subset(range(4)).fingerprint() == table.fingerprint()
    others = {table.subset(r).fingerprint() for r in ([3, 1], [1, 3], [0, 1])}
    assert len(others | {table.fingerprint()}) == 4
    assert len(table.subset([])) == 0


@pytest.mark.parametrize("wav", ["/etc/passwd", "../x.wav", "a/../../x.wav"])
def test_no_path_leaves_the_data_folder(tmp_path, wav):
    with pytest.raises(ValueError, match="not inside the data folder"):
        read(tmp_path, HEADER + f"a,a.wav,1,1,1,0\nb,{wav},1,1,1,0\n")


@pytest.mark.parametrize("frames, rate", [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_lengths_and_rates_are_positive(tmp_path, frames, rate):
    with pytest.raises(ValueError, match="without length or sampling rate"):
        read(tmp_path, HEADER + f"a,a.wav,1,{frames},{rate},0\n")


def test_sums_over_the_largest_corpus_are_exact():
    """100 million files of three hours at 192 kHz, and their durations."""
    frames, rate, rows = 3 * 3600 * 192000, 192000, 100_000_000
    table = Utterances(["a"], ["a"], [frames], [rate], [rows - 1])
    repeated = np.broadcast_to(table.num_frames, (rows,))
    assert int(repeated.sum()) == rows * frames
    assert (table.num_frames * table.sample_rates).tolist() == [frames * rate]
    assert table.durations.dtype == np.float64
    assert (table.sessions * table.num_frames).tolist() == [(rows - 1) * frames]
