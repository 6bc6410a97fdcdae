"""The step with true labels: when there is one, and how far from it."""

import pytest

from ssrl_brain.chains import pipeline, plan
from ssrl_brain.evaluation.tables import with_way

CHAIN = """
name: ceiling
way: [untrained, ceiling]
steps:
    - name: untrained
      train: hparams/contrastive.yaml
    - name: ssrl
      train: hparams/contrastive.yaml
    - name: ceiling
      train: hparams/finetune.yaml
      needs_speakers: True
"""
EERS = {"untrained": 30.0, "ssrl": 18.0, "ceiling": 14.0}


@pytest.fixture
def line(tmp_path, monkeypatch, recipe):
    """Command line of the chain, whose steps only have their EER."""
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "prepared").mkdir()
    monkeypatch.chdir(recipe)
    monkeypatch.setattr(
        pipeline.Step,
        "result",
        lambda step: {"name": step.name, "eer": EERS[step.name]},
    )
    monkeypatch.setattr(pipeline.report, "main", lambda arguments: None)
    return [
        str(tmp_path / "chain.yaml"),
        "--data_folder=nowhere",
        f"--output_folder={tmp_path}",
    ]


@pytest.mark.parametrize("known", ["by the folders", "by a file", ""])
@pytest.mark.parametrize("trials", [True, False])
def test_a_ceiling_needs_speakers_and_trials(line, tmp_path, known, trials):
    if known == "by the folders":
        (tmp_path / "prepared" / "speakers.csv").write_text("ID,speaker\n")
    line += ["--speakers_csv=own.csv"] * (known == "by a file")
    rows = pipeline.main(line + ["--trial_lists=list.txt"] * trials)
    ways = {row["name"]: row.get("way_%") for row in rows}
    if known and trials:
        assert ways == {"untrained": 0.0, "ssrl": 75.0, "ceiling": 100.0}
    else:
        assert ways == {"untrained": None, "ssrl": None}


def test_a_plan_says_that_it_is_left_out(line, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan, "measure", lambda command: {})
    monkeypatch.setattr(plan, "step_row", lambda s, m: ({"step": s.name}, 0.0))
    pipeline.main([*line, "--plan"])
    assert "left out: needs speakers and trials" in capsys.readouterr().out


def test_nothing_is_said_between_two_equal_rows():
    rows = [{"name": "a", "eer": 5.0}, {"name": "b", "eer": 5.0}]
    with_way(rows, "a", "b")
    assert all("way_%" not in row for row in rows)
