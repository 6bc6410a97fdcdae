"""Reports of chains and runs, finished and not."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from report_folders import (
    EVIL,
    STAGES,
    add_labels,
    add_prepared,
    add_scores,
    history_of,
    make_run,
)

from ssrl_brain.commands import report
from ssrl_brain.report.runs import read_chain
from ssrl_brain.report.tables import read_excluded, read_scores
from ssrl_brain.report.write import write_report
from ssrl_brain.system.files import write_json, write_text


class Page(HTMLParser):
    """Elements, addresses and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.pieces, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.pieces).split())


def page_of(*folders, output):
    return Page(write_report(folders, output).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(chain_folder):
    """Text of the report of a finished chain of all stages."""
    path = report.main([str(chain_folder)])
    assert path == chain_folder / "report.html"
    return path.read_text(encoding="utf-8")


def test_every_stage_has_its_figures(whole):
    page = Page(whole)
    assert page.open == []
    for stage in STAGES:
        assert f"Stage {stage}" in page.text
    alternatives = re.findall(r'<img alt="([^"]*)"', whole)
    for title in (
        "EER against training time (SSRL, Fig. 3)",
        "DET curves",
        "Scores: ssrl",
        "Entropy of the teacher",
        "Prototypes in use",
        "What the gate did",
        "Right labels among them",
        "What each gate alone would pass",
        "Right labels below each gate",
        "Losses, epoch 1 (SSRL, Fig. 2)",
        "Losses, epoch 4 (SSRL, Fig. 2)",
        "Clean probability, epoch 4",
        "Clusters",
        "Quality of the labels",
        "Sizes of the clusters",
        "Cluster sizes",
        "Proxy without labels",
        "probe_labels",
    ):
        assert title in alternatives, title
    assert "dino (paper)" in page.text and "2.94" in page.text
    assert "finished, 4 epochs" in page.text
    for modality in ("audio", "visual"):
        assert f"Losses as a mixture: {modality}" in page.text


def test_nothing_is_fetched_and_nothing_runs(whole):
    page = Page(whole)
    assert "script" not in page.tags and "link" not in page.tags
    assert not re.search(r"https?://", whole)
    assert not re.search(r"@import|url\(", whole)
    for address in page.addresses:
        assert address.startswith(("data:image/svg+xml;base64,", "#"))
    anchors = [a[1:] for a in page.addresses if a.startswith("#")]
    assert set(anchors) == set(re.findall(r'<h2 id="([^"]*)"', whole))
    assert len(whole) < 4_000_000


def test_what_others_wrote_is_escaped(whole):
    assert EVIL not in whole
    text = Page(whole).text
    assert f"All stages {EVIL}" in text  # the title
    assert f"{EVIL}7" in text  # an utterance of a cluster
    assert "silent 1 " + EVIL in text  # a file left out
    assert "/data/a & b" in text


def test_the_page_fits_narrow_screens(whole):
    assert '<meta name="viewport" content="width=device-width' in whole
    tables = whole.count("<table>")
    assert tables and tables == whole.count('<div class="scroll"><table>')


def test_the_same_folder_gives_the_same_report(tmp_path):
    run = make_run(tmp_path / "run", history_of("ssrl", 1))
    reports = [write_report([run], tmp_path / f"{i}.html") for i in (1, 2)]
    assert reports[0].read_bytes() == reports[1].read_bytes()


def test_single_run_from_nothing_to_finished(tmp_path):
    run = make_run(tmp_path / "run", [], finished=False, epochs=5)
    output = tmp_path / "report.html"
    text = page_of(run, output=output).text
    assert "No epoch has been logged" in text
    assert "No trial list has been scored" in text
    assert "not finished, 0 of 5 epochs" in text
    assert "prepared folder of this run is not there" in text

    history = history_of("dino", 3, verified=False)
    del history[0]["seconds"]
    lines = "".join(json.dumps(r) + "\n" for r in history)
    write_text(run / "history.jsonl", lines)
    add_prepared(tmp_path)
    text = page_of(run, output=output).text
    assert "not finished, 3 of 5 epochs" in text
    assert "no stage has been verified" in text
    assert "No file was left out" in text

    add_scores(run)
    add_labels(run, source={"stage": "SSRL"})
    text = page_of(run, output=output).text
    assert "DET curves" in text and "mean teacher loss" in text
    assert "run 10 8.5 to 11.2 0.5 0.6 9 7.5 to 10 speaker 2" in text


def test_one_epoch_is_a_table(tmp_path):
    run = make_run(tmp_path / "run", history_of("ssrl", 1))
    page = page_of(run, output=tmp_path / "report.html")
    assert "queue_agreement" in page.text
    assert page.tags.count("img") == 3  # EER over time, losses, probability


def test_half_finished_chain(tmp_path):
    make_run(tmp_path / "dino", history_of("dino", 2))
    make_run(
        tmp_path / "ssrl", history_of("ssrl", 1)[:1], finished=False, epochs=9
    )
    write_json(
        tmp_path / "metrics.json", {"stages": [{"name": "dino", "eer": 9.5}]}
    )
    chain = read_chain(tmp_path)
    assert [run.name for run in chain.runs] == ["dino", "ssrl"]
    text = page_of(tmp_path, output=tmp_path / "report.html").text
    assert "not finished, 1 of 9 epochs" in text


def test_degenerate_values_are_drawn(tmp_path):
    history = history_of("dlg_lc", 3)
    for record in history:
        del record["mixture"]
        record["gate"] = record["next_gate_on_axis"] = None
        record["loss"] = float("nan")
        for kind in ("", "_right", "_wrong"):
            record[f"loss_histogram{kind}"] = {
                "low": -1.0,
                "high": 0.0,
                "counts": [0, 0],
            }
    run = make_run(tmp_path / "run", history)
    write_text(run / "verify/scores/one_kind.txt", "0.5 1 a b\n0.6 1 a c\n")
    write_json(run / "verify/metrics.json", {})
    text = page_of(run, output=tmp_path / "report.html").text
    assert "No mixture could be fitted" in text
    assert "loss is not finite (3 times)" in text


def test_warnings_are_told_once(tmp_path):
    history = history_of("dino", 3)
    history[1]["warning"] = history[2]["warning"] = "training has collapsed"
    run = make_run(tmp_path / "run", history)
    write_text(
        run / "log.txt",
        "2026-01-01 10:00:00,000 - ssrl_brain.x - WARNING - No noise & rooms\n"
        "2026-01-01 10:00:00,000 - ssrl_brain.x - INFO - WARNING - nothing\n"
        "a WARNING - of something else\n"
        "2026-01-02 11:00:00,000 - ssrl_brain.x - WARNING - No noise & rooms\n",
    )
    text = page_of(run, output=tmp_path / "report.html").text
    assert "Warnings (2)" in text
    assert text.count("training has collapsed") == 1
    assert ": training has collapsed (2 times)" in text
    assert ": No noise & rooms (2 times)" in text
    assert "INFO" not in text and "something else" not in text


def test_folders_are_compared(tmp_path):
    for name in ("one", "two"):
        make_run(tmp_path / name / "mini" / "dino", history_of("dino", 2))
    folders = [tmp_path / name / "mini" for name in ("one", "two")]
    report.main([*map(str, folders), f"--output={tmp_path / 'both.html'}"])
    page = Page((tmp_path / "both.html").read_text(encoding="utf-8"))
    assert "Compared" in page.text
    for folder in folders:  # of one name: told apart by their paths
        assert f"{folder}: Stage dino" in page.text
    assert len(set(page.addresses)) > 20


def test_excluded_files_are_counted_by_reason(tmp_path):
    files = [(f"{i}.wav", f"too short: 0.{i} s") for i in range(7)]
    add_prepared(tmp_path, [*files, ("x.wav", "silent")])
    found = read_excluded(tmp_path / "prepared", examples=2)
    assert found == [
        ("too short", 7, ["0.wav", "1.wav"]),
        ("silent", 1, ["x.wav"]),
    ]


def test_scores_of_names_with_spaces_and_hashes(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("0.5 1 a#1 b\n-0.25 0 c d e\n")
    scores, labels = read_scores(path)
    assert scores.tolist() == [0.5, -0.25] and labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    "line",
    [
        '{"epoch": 2, "loss": 1.0',
        '["epoch", 2]',
        '{"loss": 1.0}',
        '{"epoch": "two"}',
        '{"epoch": 2, "loss": "small"}',
        '{"epoch": 2, "warning": 3}',
        '{"epoch": 2, "mixture": [[1, 0], [0, 0]]}',
        '{"epoch": 2, "mixture": [1, 2, 3]}',
        '{"epoch": 2, "loss_histogram": {"low": 0, "high": 1}}',
        '{"epoch": 2, "loss_histogram": [1, 2]}',
        '{"epoch": 2, "loss_histogram": {"low":0,"high":1,"counts":[]}}',
        '{"epoch": 2, "loss_histogram": {"low":0,"high":1,"counts":[1]},'
        ' "loss_histogram_right": {"low":0,"high":1,"counts":[1, 0]}}',
        '{"epoch": 2, "cluster_size_quantiles": "all"}',
    ],
)
def test_foreign_lines_are_named(tmp_path, line):
    run = make_run(tmp_path / "run", history_of("dlg_lc", 1))
    with open(run / "history.jsonl", "a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=r"history\.jsonl, line 2: .*remove"):
        write_report([run])


@pytest.mark.parametrize(
    "name, text",
    [
        ("verify/scores/veri_test.txt", "0.5 1 a b\nhalf 0 a c\n"),
        ("verify/scores/veri_test.txt", "1 a b\n"),
        ("verify/scores/veri_test.txt", "0.5 7 a b\n"),
        ("verify/scores/veri_test.txt", "nan 1 a b\n"),
        ("clusters/pseudo_labels.csv", "ID,pseudo_label\na,1\n"),
        ("verify/metrics.json", "{"),
        ("hyperparams.yaml", "a: [\n"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, text):
    run = make_run(tmp_path / "run", history_of("dino", 1))
    add_scores(run)
    add_labels(run)
    write_text(run / name, text)
    with pytest.raises(ValueError, match=re.escape(name)):
        write_report([run])


@pytest.mark.parametrize("table", ["[]", '{"stages": [{"eer": 1}]}'])
def test_a_foreign_table_is_named(tmp_path, table):
    write_text(tmp_path / "metrics.json", table)
    with pytest.raises(ValueError, match="metrics.json is not the table"):
        write_report([tmp_path])


def test_a_folder_without_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match="no output folder of train"):
        write_report([tmp_path])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        write_report([tmp_path / "nowhere"])


def test_score_values_survive(chain_folder):
    path = chain_folder / "ssrl/verify/scores/veri_test.txt"
    scores, labels = read_scores(path)
    first = path.read_text().splitlines()[0].split()
    assert [scores[0], labels[0]] == [float(first[0]), float(first[1])]
    assert len(scores) == 400 and np.isfinite(scores).all()
