"""True speakers: for metrics, and for the one stage with labels."""

import ast
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssrl_brain.data.preparation import write_table
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.speakers import (
    GateMetrics,
    LabelMetrics,
    labelled_subset,
    read_speakers,
    share_of_speakers,
)


def table_of(*ids):
    ones = np.ones(len(ids))
    return Utterances(ids, ids, ones, ones, ones)


@pytest.fixture
def prepared(tmp_path):
    (tmp_path / "speakers.csv").write_text(
        'ID,speaker\nc,Zoë\na,anna\nb,"van x, y"\nd,anna\n', encoding="utf-8"
    )
    return tmp_path


def test_numbers_follow_the_ids_asked_for(prepared):
    found = read_speakers(prepared / "speakers.csv", ["d", "c", "a", "b"])
    assert found[0] == found[2]
    assert len(set(found.tolist())) == 3 and found.shape == (4,)


@given(st.lists(st.sampled_from(["b", "a", "ä", "Zoë", "van x, y", "B"])))
def test_numbers_are_places_among_the_sorted_names(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("speakers") / "speakers.csv"
    rows = [[f"u{i}", name] for i, name in enumerate(names)]
    write_table(path, ["ID", "speaker"], rows)
    found = read_speakers(path, [id for id, _ in rows])
    expected = np.unique(np.array(names, dtype=str), return_inverse=True)[1]
    assert found.tolist() == expected.tolist() and found.dtype == np.int64


def test_unknown_speakers(prepared, tmp_path):
    assert read_speakers(tmp_path / "none.csv", ["a"]) is None
    with pytest.raises(ValueError, match="name the speaker of 'x': prepare"):
        read_speakers(prepared / "speakers.csv", ["a", "x"])


def test_metrics_of_a_perfect_and_of_a_poor_labelling(prepared):
    metrics = LabelMetrics(prepared)
    table = table_of("a", "b", "c", "d")
    perfect = metrics(table, [7, 2, 5, 7])
    poor = metrics(table, [0, 0, 0, 1])
    assert perfect["nmi"] == pytest.approx(1)
    assert poor["nmi"] < 0.6


def test_another_table_is_read_anew(prepared):
    metrics = LabelMetrics(prepared)
    assert metrics(table_of("a", "d"), [1, 1])["nmi"] == pytest.approx(1)
    assert metrics(table_of("a", "b"), [1, 2])["nmi"] == pytest.approx(1)


def test_nothing_is_reported_without_speakers(tmp_path):
    assert LabelMetrics(tmp_path)(table_of("a"), [0]) == {}


def test_shares_of_right_labels_by_hand(prepared):
    """Cluster 0 stands for anna (a, d), so c (Zoë) is wrong in it; cluster 1
    holds b alone. Predictions: a loses its right label, c leaves for the
    cluster of b, d for one that nobody is in."""
    table = table_of("a", "b", "c", "d")
    labels, predictions = np.array([0, 1, 0, 0]), np.array([1, 1, 1, 5])
    metrics = GateMetrics(prepared)
    none = np.zeros(4, bool)
    passed, corrected = none.copy(), none.copy()
    passed[[1, 2]], corrected[3] = True, True
    assert metrics(table, labels, predictions, passed, corrected) == {
        "right": 0.75,
        "right_passed": 0.5,
        "right_dropped": 1.0,
        "right_before_correction": 1.0,
        "right_corrected": 0.0,
        "right_recall": pytest.approx(1 / 3),
    }
    closed = metrics(table, labels, predictions, none, none)
    assert closed["right_passed"] is None and closed["right_recall"] == 0


def test_gates_are_not_judged_without_speakers(tmp_path):
    assert GateMetrics(tmp_path)(table_of("a"), [0], [0], [1], [0]) == {}


@pytest.fixture
def corpus(tmp_path):
    """A table of 40 utterances, of which 30 are labelled, by 3 speakers."""
    names = [f"u{number:02d}" for number in range(40)]
    lines = [f"{name},s{int(name[1:]) % 3}" for name in names[:30]]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["ID,speaker", *lines, "elsewhere,s9"]) + "\n")
    return table_of(*names), path


def test_a_fraction_is_of_the_labelled_utterances(corpus):
    table, path = corpus
    rows, speakers = labelled_subset(table, path, 0.5, seed=3)
    assert len(rows) == len(set(rows.tolist())) == 15
    assert rows.tolist() == sorted(rows) and rows.max() < 30
    for row, speaker in zip(rows, speakers, strict=True):
        assert speaker == row % 3
    everything, _ = labelled_subset(table, path, 1.0, seed=3)
    assert everything.tolist() == list(range(30))


def test_subsets_are_nested_and_belong_to_the_seed(corpus):
    drawn = [set(labelled_subset(*corpus, f, 0)[0]) for f in (0.2, 0.5, 1.0)]
    assert drawn[0] < drawn[1] < drawn[2]
    again = set(labelled_subset(*corpus, 0.5, 0)[0])
    other = set(labelled_subset(*corpus, 0.5, 1)[0])
    assert again == drawn[1] != other


def test_a_share_of_speakers_keeps_all_that_they_say(corpus):
    table, path = corpus
    path.write_text(
        "ID,speaker\n" + "".join(f"u{n:02d},s{n % 8}\n" for n in range(40))
    )
    drawn = [share_of_speakers(table, path, f, 0) for f in (0.25, 0.5, 1.0)]
    speakers = [{int(row) % 8 for row in rows} for rows in drawn]
    assert [len(found) for found in speakers] == [2, 4, 8]
    assert [len(rows) for rows in drawn] == [10, 20, 40]
    assert speakers[0] < speakers[1] < speakers[2]
    assert share_of_speakers(table, path, 0.5, 1).tolist() != drawn[1].tolist()
    with pytest.raises(FileNotFoundError, match="share of the speakers needs"):
        share_of_speakers(table, path.parent / "none.csv", 0.5, 0)


def test_speakers_are_numbered_without_gaps(corpus):
    table, path = corpus
    path.write_text("ID,speaker\nu01,z\nu05,a\n")
    rows, speakers = labelled_subset(table, path, 1.0, seed=0)
    assert rows.tolist() == [1, 5] and speakers.tolist() == [1, 0]


@pytest.mark.parametrize(
    "fraction, text, message",
    [
        (0.0, None, "--label_fraction=0.0 must"),
        (1.5, None, "--label_fraction=1.5 must"),
        (0.03, None, "1 labelled utterances of 1 speaker"),
        (1.0, "ID,speaker\n", "0 labelled utterances of 0 speaker"),
        (1.0, "name,who\nu01,a\n", "must have the columns ID,speaker"),
    ],
)
def test_useless_labels_are_refused(corpus, fraction, text, message):
    table, path = corpus
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        labelled_subset(table, path, fraction, seed=0)


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def code_alone(path):
    """Source of a module without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def test_no_other_code_reaches_the_speakers(repository):
    files = [
        *(repository / "ssrl_brain").rglob("*.py"),
        *(repository / "recipes/VoxCeleb/ssrl").glob("*.py"),
    ]
    words = r"evaluation\.speakers|read_speakers|labelled_subset|speakers\.csv"
    found = {p.name for p in files if re.search(words, code_alone(p))}
    # one writes them down, one asks whether they are there, one is a metric
    own = {"speakers.py", "corpus.py", "step.py", "case_metrics.py"}
    assert found == own


def test_only_fine_tuning_is_given_speakers(repository):
    for path in (repository / "hparams").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        used = set(re.findall(r"evaluation\.speakers\.(\w+)", text))
        if path.name == "finetune.yaml":
            assert used == {"labelled_subset"}
        else:  # metrics alone
            assert used <= {"LabelMetrics", "GateMetrics"}, path
            assert "speakers.csv" not in text, path
