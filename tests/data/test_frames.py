"""Frames of the utterances of a table: reading it, and them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture

from ssrl_brain.data.frames import Frames


def test_reading_scales_and_gives_three_channels(tmp_path):
    picture(tmp_path / "a/1.png", 200, size=(30, 10))
    picture(tmp_path / "a/2.png", 77, mode="L")
    table = Frames(tmp_path, ["a"], ["1.png/2.png"])
    image = table.read(0, "1.png", 8)
    assert image.shape == (3, 8, 8) and image.dtype == np.uint8
    assert [np.unique(x).tolist() for x in image] == [[200], [0], [55]]
    assert (table.read(0, "2.png", 5) == 77).all()
    (tmp_path / "a/1.png").unlink()
    with pytest.raises(ValueError, match="cannot be read any more") as caught:
        table.read(0, "1.png", 8)
    assert "\n" not in str(caught.value)


def write_csv(path, rows, header="ID,source,frames"):
    text = "\n".join([header, *rows]) + "\n"
    path.write_bytes(text.encode(errors="surrogateescape"))


@pytest.mark.parametrize(
    "header, rows, message",
    [
        ("ID,source", ["u,a"], "expected the columns"),
        ("ID,source,frames", ["u,a"], "has a broken row"),
        ("ID,source,frames", ["other,a,1.jpg"], "other utterances"),
        ("ID,source,frames", [], "other utterances"),
        ("ID,source,frames", ["u,a,1.jpg", "v,a,1.jpg"], "other utterances"),
        ("ID,source,frames", ["u,a,\udcff"], "not a table in UTF-8"),
        ("ID,source,frames", ["u,../a,1.jpg"], "no frames inside"),
        ("ID,source,frames", ["u,a,../1.jpg"], "no frames inside"),
        ("ID,source,frames", ["u,a,"], "no frames inside"),
    ],
)
def test_damaged_tables_are_told_in_one_line(header, rows, message, tmp_path):
    write_csv(tmp_path / "frames.csv", rows, header)
    with pytest.raises(ValueError, match=message) as caught:
        Frames.from_csv(tmp_path / "frames.csv", tmp_path, ["u"])
    assert "\n" not in str(caught.value)


@given(st.lists(st.lists(st.integers(0, 99), min_size=1), min_size=1))
def test_subset_keeps_rows_together(names):
    texts = ["/".join(map(str, x)) for x in names]
    sources = [f"s{n}" for n in range(len(names))]
    table = Frames("f", sources, texts)
    rows = list(range(len(names)))[::-2]
    part = table.subset(rows)
    assert [part.names_of(n) for n in range(len(rows))] == [
        table.names_of(row) for row in rows
    ]
    assert list(part.sources) == [sources[row] for row in rows]
    assert (part.fingerprint() == table.fingerprint()) == (len(names) == 1)
