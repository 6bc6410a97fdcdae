"""docs/use.md: its code, run as it stands, by SpeechBrain alone."""

import re
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch

from ssrl_brain.commands import verify

ROOT_FOLDER = "results/mine/ssrl/export"


@pytest.fixture
def folder(start, tmp_path, monkeypatch):
    """The files that the page speaks of; two speakers, in two groups."""
    shutil.copytree(start["encoder_folder"], tmp_path / ROOT_FOLDER)
    source = start["data_folder"] / "wav"
    files = {
        "ada_1.wav": "id00004/s0/0.wav",
        "ada_2.wav": "id00004/s1/1.wav",
        "unknown.wav": "id00005/s0/0.wav",
        "recordings/a/1.wav": "id00004/s0/1.wav",
        "recordings/a/2.wav": "id00004/s0/1.wav",
        "recordings/b.wav": "id00006/s0/2.wav",
    }
    for name, original in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / original, tmp_path / name)
    pieces = [
        np.resize(soundfile.read(tmp_path / name)[0], 16000 * 3)
        for name in ("unknown.wav", "ada_1.wav")
    ]
    soundfile.write(tmp_path / "meeting.wav", np.concatenate(pieces), 16000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_runs_as_it_stands(folder, repository, start, command):
    text = (repository / "docs/use.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    with_package = [block for block in blocks if "ssrl_brain" in block]
    assert len(blocks) == 10 and with_package == blocks[-1:]
    # an untrained encoder scores all voices high
    code = "\n".join(blocks).replace("threshold = 0.4\n", "threshold = 0.999\n")
    found = {}
    exec(compile(code, "use.md", "exec"), found)  # noqa: S102

    score, _ = found["model"].verify_files("ada_1.wav", "unknown.wav")
    one, other = (found["embed"](name) for name in ("ada_1.wav", "unknown.wav"))
    assert float(one @ other) == pytest.approx(score.item(), abs=1e-5)
    assert found["same_speaker"] == (score.item() > 0.999)

    # at 0.4 the calibration of the page says: as likely as not
    assert found["probability"](0.4) == pytest.approx(0.5)
    assert found["rarely"] < found["often"]
    assert found["probability"](0.4, prior=0.01) == pytest.approx(0.01)

    assert len(found["turns"]) == 7  # of 6 seconds
    if find_spec("onnx") and find_spec("onnxruntime"):
        check_onnx(found, folder)

    saved = torch.load(folder / "ada.pt", weights_only=True)
    assert float(saved.norm()) == pytest.approx(1)
    assert found["is_ada"] == (float(saved @ other) > 0.999)

    assert len(found["scores"]) == 4  # windows at 0, 1, 2 and 3 s
    assert int(found["scores"].argmax()) == 3  # all of it is Ada's

    assert [str(path) for path in found["paths"]] == [
        "recordings/a/1.wav",
        "recordings/a/2.wav",
        "recordings/b.wav",
    ]
    groups = found["groups"]
    assert groups[0] == groups[1] != groups[2]

    # the last block: with this package
    labels = found["clusters"].labels
    assert labels[0] == labels[1] != labels[2]
    assert found["result"]["scores"][1] == pytest.approx(score.item(), abs=1e-5)


def check_onnx(found, folder):
    """The exported network computes what the model does."""
    import onnxruntime

    model, path = found["model"], str(folder / "encoder.onnx")
    found["export_onnx"](path)
    features = torch.randn(2, 123, 16)
    expected = model.mods.embedding_model(features).squeeze(1)
    session = onnxruntime.InferenceSession(path)
    (embedding,) = session.run(None, {"features": features.numpy()})
    np.testing.assert_allclose(embedding, expected.detach(), atol=1e-4)


def test_scores_are_those_of_verify(folder, start, command, repository):
    """What a user computes is what verify.py wrote."""
    verify.main(
        command("verify.yaml", **start, output_folder=folder / "verify")
    )
    text = (repository / "docs/use.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    found = {}
    exec(compile("\n".join(blocks[:2]), "use.md", "exec"), found)  # noqa: S102
    lines = (folder / "verify/scores/trials.txt").read_text().splitlines()
    for line in lines[::9]:
        score, _, *pair = line.split()
        one, other = (
            found["embed"](start["data_folder"] / f"wav/{name}.wav")
            for name in pair
        )
        assert float(one @ other) == pytest.approx(float(score), abs=1e-5)
