"""A plan of a chain: measured, printed, and nothing left behind."""

import sys

import pytest

from ssrl_brain.chains import measure, pipeline, plan
from ssrl_brain.system.ours import claim

CHAIN = """
name: planned
overrides: [{overrides}]
steps:
    - name: dino
      train: hparams/dino.yaml
      options: {drop_fraction: 0.5}
    - name: again
      train: hparams/dino.yaml
      encoder: dino
      options: {drop_fraction: 0.5}
    - name: ssrl
      train: hparams/ssrl.yaml
      encoder: again
      labels: again
"""


@pytest.fixture
def line(tiny_corpus, tmp_path, recipe, monkeypatch):
    """Command line of a chain; measured in this process, to save imports."""
    from conftest import TINY

    tiny = "".join(f"{key}: {value}\n" for key, value in TINY.items())
    (tmp_path / "tiny.yaml").write_text(tiny)
    text = CHAIN.replace("{overrides}", str(tmp_path / "tiny.yaml"))
    (tmp_path / "chain.yaml").write_text(text)
    monkeypatch.chdir(recipe)
    return [
        str(tmp_path / "chain.yaml"),
        f"--output_folder={tmp_path / 'out'}",
        "--device=cpu",
        "--plan",
        *(f"--{k}={v}" for k, v in tiny_corpus.items()),
    ]


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """What was measured, stage by stage; temporary folders are seen too."""
    found = []

    def in_this_process(command):
        found.append((command[0], measure.main(list(command))))
        return found[-1][1]

    monkeypatch.setattr(plan, "measure", in_this_process)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(measure.tempfile, "tempdir", str(tmp_path / "tmp"))
    return found


def test_each_distinct_stage_is_measured_once(line, measured, tmp_path, capsys):
    assert pipeline.main(line) == []
    assert [name for name, _ in measured] == [
        "hparams/dino.yaml",
        "hparams/ssrl.yaml",
    ]
    dino, ssrl = (values for _, values in measured)
    assert (dino["utterances"], dino["epochs"], dino["steps"]) == (24, 2, 6)
    assert ssrl["utterances"] == 24  # SSRL keeps all, whatever was purified
    assert dino["seconds_per_step"] > 0 and dino["memory_gb"] > 0.1
    printed = capsys.readouterr().out
    assert "Data: 24 utterances" in printed
    assert "Trials: trials (27), over 18 utterances" in printed
    rows = [x for x in printed.splitlines() if x.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == [
        "| dino",
        "| again",
        "| ssrl",
    ]
    first, second = (row.split(" | ")[1:] for row in rows[1:3])
    assert first[:7] == second[:7]  # clusterings are measured one by one
    assert "In all about" in printed
    # nothing but prepared data stays
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["prepared"]
    assert list((tmp_path / "tmp").glob("tmp*")) == []


def test_a_plan_tells_what_its_stages_would_warn_of(line, measured, capsys):
    line = [x for x in line if not x.startswith("--noise_folder=")]
    pipeline.main(line)
    told = capsys.readouterr().out.splitlines()
    steps = [
        step
        for names, colon, _ in (x.partition(": Augmentation is") for x in told)
        for step in names.split(", ")
        if colon
    ]
    assert sorted(steps) == ["again", "dino", "ssrl"]


def test_a_logger_elsewhere_is_not_told_of_a_plan(line, measured, tmp_path):
    told = tmp_path / "told"  # as a logger that opens a run when it is made
    with open(tmp_path / "tiny.yaml", "a") as file:
        file.write(f"train_logger: !apply:os.mkdir [{told}]\n")
    pipeline.main(line)
    assert len(measured) == 2 and not told.exists()


def test_finished_steps_are_not_measured(line, measured, tmp_path, capsys):
    path = tmp_path / "chain.yaml"
    path.write_text(path.read_text().replace("ssrl.yaml", "iterative.yaml"))
    for name in ("dino", "again"):
        folder = tmp_path / "out" / name
        folder.mkdir(parents=True)
        (folder / "done.json").write_text("{}")
        for part in ("export/hyperparams.yaml", "export/embedding_model.ckpt"):
            (folder / part).parent.mkdir(exist_ok=True)
            (folder / part).touch()
        (folder / "verify").mkdir()
        (folder / "verify/metrics.json").touch()
        (folder / "clusters").mkdir()
        for part in ("pseudo_labels.csv", "centroids.npy", "source.json"):
            (folder / "clusters" / part).touch()
    claim(tmp_path / "out", "chain")
    pipeline.main(line)
    ((name, values),) = measured
    assert name == "hparams/iterative.yaml"
    assert values["utterances"] == 12  # of 24, purified by the step before
    assert capsys.readouterr().out.count("finished before") == 2


def test_what_is_wrong_with_a_stage_is_told_in_one_line(
    tmp_path, monkeypatch, capsys
):
    script = tmp_path / "measure.py"
    script.write_text(
        "import sys\nprint('text')\nsys.exit('error: lower --batch_size')\n"
    )
    monkeypatch.setattr(plan, "MEASURE", [sys.executable, str(script)])
    with pytest.raises(ValueError, match="^x.yaml: lower --batch_size$"):
        plan.measure(("x.yaml",))
    script.write_text(  # others have the last word
        "import sys\nprint('error: lower --lr', file=sys.stderr)\n"
        "print('resource_tracker: leaked', file=sys.stderr)\nsys.exit(1)\n"
    )
    with pytest.raises(ValueError, match="^x.yaml: lower --lr$"):
        plan.measure(("x.yaml",))
    script.write_text("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(ValueError, match="^x.yaml: measuring .* SIGKILL"):
        plan.measure(("x.yaml",))
    script.write_text("1 / 0\n")  # a fault of ours is shown whole
    with pytest.raises(ValueError, match="^x.yaml: measuring it failed, see"):
        plan.measure(("x.yaml",))
    assert "ZeroDivisionError" in capsys.readouterr().err
    script.write_text(
        "import json, sys\nprint('log')\nprint(json.dumps(sys.argv[1:]))\n"
    )
    assert plan.measure(("x.yaml", "--lr=1")) == ["x.yaml", "--lr=1"]


def test_several_ranks_are_refused(line, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="leave out torchrun"):
        pipeline.main(line)
