"""Readers of files of others: a value, or one line of error, nothing else."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.data.trials import read_trials
from ssrl_brain.data.utterances import COLUMNS, Utterances
from ssrl_brain.evaluation.speakers import read_speakers
from ssrl_brain.evaluation.verification import load_trials
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)

fuzz = settings(
    max_examples=100,
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
ODD = [
    "",
    "0",
    "1",
    "-1",
    "1e3",
    "nan",
    "inf",
    "9" * 30,
    "a.wav",
    "../a.wav",
    "/a.wav",
    "a\nb",
    "a\0b",
    '"',
    "é",
    "٣",
    "1_000",
    " 1",
    "x" * 200_000,  # more than a field of a CSV may have
]
field = st.one_of(st.sampled_from(ODD), st.text(max_size=5))
rows = st.lists(st.lists(field, min_size=5, max_size=7), max_size=4)


def quietly(read, *arguments):
    """The result, or None after an error of the kind that is allowed."""
    try:
        return read(*arguments)
    except (ValueError, FileNotFoundError) as error:
        assert type(error) in (ValueError, FileNotFoundError)
        message = str(error)
        assert message and len(message.splitlines()) == 1, message
        return None


def as_csv(header, rows):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode("utf-8", "surrogatepass")


anything = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")),
)


@fuzz
@given(anything)
@example(b"1 a b\n" * 3)
@example(b"\xff\xfe1 a b")
@example(b"1 a b\r0 c d\x0b")
@example(b"target a b\n\xc2\x85")
def test_trial_lists(tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)
    found = quietly(read_trials, tmp_path / "list.txt")
    if found is not None:
        labels, enrol, test = found
        assert len(labels) == len(enrol) == len(test) > 0
        assert set(labels.tolist()) <= {0, 1}
    table = Utterances(["a", "b"], ["a", "b"], [1, 1], [1, 1], [0, 0])
    quietly(load_trials, tmp_path / "list.txt", table)


@fuzz
@given(
    st.one_of(
        anything,
        rows.map(lambda rows: as_csv(COLUMNS, rows)),
        st.lists(
            st.tuples(*[field] * 3, *[st.integers().map(str)] * 3), max_size=3
        ).map(lambda rows: as_csv(COLUMNS, rows)),
    )
)
@example(as_csv(COLUMNS, [["a", "a.wav", "1", "16000", "16000", "0"]]))
def test_tables_of_utterances(tmp_path, content):
    (tmp_path / "train.csv").write_bytes(content)
    table = quietly(Utterances.from_csv, tmp_path / "train.csv")
    if table is not None:
        assert len(table) == len(table.ids) == len(table.paths) > 0
        assert (table.durations > 0).all()
        assert not any(".." in path.split("/") for path in table.paths)
        assert len(table.fingerprint()) == 64


@fuzz
@given(
    st.one_of(anything, rows.map(lambda rows: as_csv(["ID", "speaker"], rows)))
)
@example(b"ID,speaker\na,x\nb,y\n")
@example(b"ID,speaker\na\n")
def test_tables_of_speakers(tmp_path, content):
    (tmp_path / "speakers.csv").write_bytes(content)
    found = quietly(read_speakers, tmp_path / "speakers.csv", ["a", "b"])
    assert found is None or found.shape == (2,)


TABLE = Utterances(["a", "b", "c"], ["a", "b", "c"], [9] * 3, [9] * 3, [0] * 3)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "labels"
    clusters = Clusters(np.array([0, 1, 0]), np.eye(2), np.zeros(3))
    write_pseudo_labels(folder, TABLE, clusters)
    return folder


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(text):
    """A ``.npy`` file that claims something."""
    text = text.ljust(117) + "\n"
    return (
        b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
DAMAGE = st.one_of(
    st.tuples(
        st.sampled_from(["source.json", "pseudo_labels.csv", "centroids.npy"]),
        anything,
    ),
    st.tuples(
        st.just("pseudo_labels.csv"),
        st.lists(st.tuples(field, field, field), min_size=3, max_size=3).map(
            lambda rows: as_csv(
                ["ID", "pseudo_label", "distance", "keep"],
                [[name, *row] for name, row in zip("abc", rows, strict=True)],
            )
        ),
    ),
    st.tuples(
        st.just("source.json"), values.map(lambda v: json.dumps(v).encode())
    ),
    st.tuples(
        st.just("centroids.npy"),
        st.sampled_from(
            [
                npy(np.zeros(3)),
                npy(np.full((2, 2), np.nan)),
                npy(np.array(["a", "b"])),
                npy(np.zeros((0, 4))),
                npy(np.zeros((2, 0))),
                npy(np.eye(2, dtype=complex)),
                header(
                    "{'descr': '<f4', 'fortran_order': False, "
                    "'shape': (1000000, 1000000)}"
                ),
                header(
                    "{'descr': '|O', 'fortran_order': False, 'shape': (2, 2)}"
                ),
                header("__import__('os').getcwd()"),
                header("{'descr': '<f4'"),
                b"PK\x03\x04",
                b"",
            ]
        ),
    ),
)


@fuzz
@given(DAMAGE)
@example(("source.json", b"[" * 100_000))
def test_label_folders(labels, tmp_path, damage):
    name, content = damage
    folder = tmp_path / "labels"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(labels, folder)
    (folder / name).write_bytes(content)
    found = quietly(read_pseudo_labels, folder, TABLE)
    if found is not None:
        assert found.labels.shape == found.keep.shape == (3,)
        assert found.centroids.ndim == 2
        assert 0 <= found.labels.min() <= found.labels.max()
        assert found.labels.max() < len(found.centroids)


@pytest.mark.parametrize(
    "name", ["source.json", "pseudo_labels.csv", "centroids.npy"]
)
def test_a_file_that_is_missing(labels, tmp_path, name):
    shutil.copytree(labels, tmp_path / "labels")
    (tmp_path / "labels" / name).unlink()
    assert quietly(read_pseudo_labels, tmp_path / "labels", TABLE) is None
