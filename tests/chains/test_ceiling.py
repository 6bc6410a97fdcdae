"""The step with true labels: when there is one, and how far from it."""

import pytest

from ssrl_brain.chains import pipeline, plan
from ssrl_brain.chains import step as step_module
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
def run(tmp_path, monkeypatch, recipe):
    """Runs the chain, whose steps only have their EER; speakers as told."""
    (tmp_path / "chain.yaml").write_text(CHAIN)
    (tmp_path / "data").mkdir()
    for name in ("list.txt", "own.csv"):
        (tmp_path / "data" / name).write_text("")
    monkeypatch.chdir(recipe)
    monkeypatch.setattr(pipeline.report, "main", lambda arguments: None)

    def run(known, *options):
        def result(step):
            prepared = tmp_path / "out" / "prepared"
            prepared.mkdir(parents=True, exist_ok=True)
            if known:
                (prepared / "speakers.csv").write_text("ID,speaker\n")
            return {"name": step.name, "eer": EERS[step.name]}

        monkeypatch.setattr(step_module.Step, "result", result)
        return pipeline.main(
            [
                str(tmp_path / "chain.yaml"),
                f"--data_folder={tmp_path / 'data'}",
                f"--output_folder={tmp_path / 'out'}",
                *options,
            ]
        )

    return run


@pytest.mark.parametrize("known", ["by the folders", "by a file", ""])
@pytest.mark.parametrize("trials", [True, False])
def test_a_ceiling_needs_speakers_and_trials(run, tmp_path, known, trials):
    options = [f"--speakers_csv={tmp_path / 'data' / 'own.csv'}"]
    options *= known == "by a file"
    options += ["--trial_lists=list.txt"] * trials
    rows = run(known == "by the folders", *options)
    ways = {row["name"]: row.get("way_%") for row in rows}
    if known and trials:
        assert ways == {"untrained": 0.0, "ssrl": 75.0, "ceiling": 100.0}
    else:
        assert ways == {"untrained": None, "ssrl": None}


def test_a_plan_says_that_it_is_left_out(run, monkeypatch, capsys):
    monkeypatch.setattr(plan, "measure", lambda command: {"warnings": []})
    monkeypatch.setattr(plan, "step_row", lambda s, m: ({"step": s.name}, 0.0))
    run(False, "--plan")
    assert "left out: needs speakers and trials" in capsys.readouterr().out


def test_a_way_is_between_steps_of_the_chain(run, tmp_path):
    text = CHAIN.replace("[untrained, ceiling]", "[untrained, celing]")
    (tmp_path / "chain.yaml").write_text(text)
    with pytest.raises(ValueError, match="did you mean ceiling"):
        run(False)


def test_nothing_is_said_between_two_equal_rows():
    rows = [{"name": "a", "eer": 5.0}, {"name": "b", "eer": 5.0}]
    with_way(rows, "a", "b")
    assert all("way_%" not in row for row in rows)
