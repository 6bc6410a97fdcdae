"""Every stage on a GPU that is not there: what is left on the CPU raises.

A step and the end of an epoch at the papers' values, see
`benchmarks/fake_cuda.py`. Where the host waits for the device is a short list.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from conftest import ROOT

from ssrl_brain.commands import train

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="replaces a .so file"),
    pytest.mark.skipif(
        torch.version.cuda is None, reason="torch is built without CUDA"
    ),
    pytest.mark.skipif(
        not (shutil.which("cc") or shutil.which("gcc")),
        reason="no C compiler for the library in the driver's place",
    ),
]

STAGES = sorted(
    path.stem
    for path in (ROOT / "hparams").glob("*.yaml")
    if "brain_class:" in path.read_text()
)
# In a step a GPU is waited for ...
IN_A_STEP = {
    "fp32": set(),
    "bf16": set(),
    # ... whether gradients are finite: else the optimizer leaves the step out
    "fp16": {"grad_scaler.py step"},
}
# At the end of an epoch, by `file function`, and what for.
AT_ITS_END = {
    "training/unread.py read": "losses of the last steps",
    "networks/weights.py nonfinite": "weights are looked at, then saved",
    "training/health.py health_report": "sums of the epoch, for the log",
    "brains/dino.py end_epoch": "norm of the centre, for the log",
    "brains/dino.py embed_corpus": "audio goes there, embeddings come back",
    "brains/ca_dino.py cluster": "labels go to the other ranks",
    "brains/ssrl.py end_epoch": "labels, for their metrics",
    "brains/ssrl.py model_noise": "mean clean probability, for the log",
    "brains/dlg_lc.py finite": "gate, for the log",
    "brains/dlg_lc.py <genexpr>": "predictions, for their metrics",
    "brains/audio_visual.py <genexpr>": "predictions and cases, as well",
    "noisy_labels/memory.py close_epoch": "changes of the labels, for the log",
    "noisy_labels/memory.py cluster_size_quantiles": "for the log",
    "noisy_labels/memory.py queue_agreement": "for the log",
    "noisy_labels/memory.py _agreement": "for the log",
    "noisy_labels/memory.py share": "of labels that pass or change, for the log",
    "noisy_labels/gmm.py fit_two_gaussians": "the fit is numpy's",
    "noisy_labels/histograms.py loss_histograms": "of the losses, for the log",
}


def run(*command):
    """Output of a program that may replace the driver's library."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(x) for x in done.stdout.splitlines() if x[:1] == "{"]


@pytest.fixture(scope="module")
def measured():
    """Figures of some stages in a precision, measured once."""
    made = {}

    def measure(precision, *stages):
        if precision not in made:
            made[precision] = run(
                ROOT / "benchmarks/fake_cuda.py",
                *(ROOT / f"hparams/{stage}.yaml" for stage in stages),
                f"--precision={precision}",
            )
        return made[precision]

    return measure


def places(waits):
    """`file function` of every wait, without who called whom."""
    return {wait.partition(": ")[2].partition(" <- ")[0] for wait in waits}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_stage_steps_and_ends_an_epoch(precision, measured):
    figures = measured(precision, *STAGES)
    assert [x["stage"] for x in figures] == STAGES
    for stage in figures:
        assert places(stage["waits"]) <= IN_A_STEP[precision], stage
        unknown = places(stage["waits_of_epoch_end"]) - AT_ITS_END.keys()
        assert not unknown, stage
        assert stage["precision"] == precision


def test_half_precision_needs_less_memory_and_the_same_arithmetic(measured):
    pairs = [measured(precision, *STAGES) for precision in ("fp32", "bf16")]
    for full, half in zip(*pairs, strict=True):
        assert full["gflop_per_utterance"] == half["gflop_per_utterance"] > 10
        assert 0.5 < half["peak_gb"] / full["peak_gb"] < 0.8
        assert half["seconds"]["H100"] < full["seconds"]["H100"]


def test_float16_waits_for_the_gradients_alone(measured):
    (figures,) = measured("fp16", "dlg_lc")
    (wait,) = figures["waits"]
    assert {wait.rpartition("/")[2]} == IN_A_STEP["fp16"]


PROBE = """
import json, sys
sys.path.insert(0, "benchmarks")
from fake_cuda import fake_cuda, with_shim
with_shim()
import torch

def branch(x):
    if x.sum() > 1:
        return x

def left_behind(x):
    return torch.nn.Linear(3, 2)(x)

planted = {
    "item": lambda x: x.sum().item(),
    "branch": branch,
    "mask": lambda x: x[x > 0],
    "set": lambda x: x.index_put_((x > 0,), x),
    "nonzero": lambda x: (x > 0).nonzero(),
    "host": lambda x: x.cpu(),
    "number": lambda x: float(x[0, 0]),
    "list": lambda x: x[0].tolist(),
    "device": lambda x: x + torch.ones(3).to("cuda"),
    "index": lambda x: x[torch.tensor([1, 0])],
    "left": left_behind,
    # these wait for nothing
    "beside": lambda x: x + torch.ones(3).to("cuda", non_blocking=True),
    "fill": lambda x: x.masked_fill(x > 0, 0.0),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "product": lambda x: (x @ x.T).sum().sqrt(),
}
found = {}
with fake_cuda() as watch:
    x = torch.ones(2, 3, device="cuda", requires_grad=True)
    (x @ x.T).sum().backward()
    assert x.grad.device.type == "cuda" and watch.flops == 3 * 2 * 2 * 2 * 3
    with torch.no_grad():
        for name, function in planted.items():
            watch.reset()
            try:
                function(x)
                found[name] = sum(watch.waits.values())
            except RuntimeError as error:
                found[name] = str(error)
print(json.dumps(found))
"""


def test_what_is_planted_is_found(tmp_path):
    path = tmp_path / "probe.py"
    path.write_text(PROBE)
    (found,) = run(path)
    assert "two different devices" in str(found.pop("left"))
    silent = {"beside", "fill", "where", "product"}
    assert {name for name, waits in found.items() if waits == 0} == silent
    assert all(isinstance(waits, int) for waits in found.values())


COMMAND = """
import json, sys
sys.path.insert(0, "benchmarks")
from fake_cuda import fake_cuda, with_shim
with_shim()
from ssrl_brain.commands import label, verify

script, *line = sys.argv[1:]
with fake_cuda() as watch:
    {"label": label, "verify": verify}[script].main(line)
    found = dict(watch.waits)
print(json.dumps({"kernels": watch.kernels, "waits": found}))
"""
# As above, of what happens between the stages.
BETWEEN_STAGES = {
    "handover/encoder_folder.py __init__": "weights go there, once",
    "handover/visual_folder.py __init__": "weights go there, once",
    "networks/faster.py constants_to_": "filters go there, once",
    "evaluation/embed.py embed": "audio goes there, embeddings come back",
    "evaluation/embed_frames.py <genexpr>": "frames go there, as well",
}


@pytest.fixture(scope="module")
def exported(start, command, tmp_path_factory):
    """Options with the exports of a stage of speech and faces."""
    folder = tmp_path_factory.mktemp("audio_visual")
    options = {**start, "number_of_epochs": 0, "output_folder": folder}
    train.main(command("audio_visual.yaml", **options))
    return {
        **start,
        "encoder_folder": folder / "export",
        "visual_encoder_folder": folder / "export_visual",
    }


@pytest.mark.parametrize(
    "script, yaml, without",
    [
        ("label", "pseudo_label.yaml", "visual_encoder_folder"),
        ("label", "pseudo_label.yaml", "encoder_folder"),
        ("label", "pseudo_label.yaml", None),
        ("verify", "verify.yaml", None),
    ],
)
def test_commands_between_stages(
    script, yaml, without, exported, command, tmp_path
):
    options = {**exported, "label_folder": tmp_path / "labels"}
    if without:
        options[without] = ""
    line = command(yaml, **options, output_folder=tmp_path / "verified")
    path = tmp_path / "command.py"
    path.write_text(COMMAND)
    line.remove("--device=cpu")  # a GPU is found where none is named
    (found,) = run(path, script, *line)
    assert found["kernels"] > 0
    assert places(found["waits"]) <= BETWEEN_STAGES.keys(), found
