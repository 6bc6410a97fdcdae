"""Two ranks do what one does, and end together."""

import json
import sys
import time

import conftest
import numpy as np
import processes
import pytest
import torch

from ssrl_brain.training.log import read_history

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks its ranks"
)

# Without BatchNorm, whose statistics on the CPU are those of a rank's share.
PLAIN = """
embedding_model: !new:speechbrain.nnet.containers.LengthsCapableSequential
    frames: !new:speechbrain.nnet.CNN.Conv1d
        in_channels: !ref <n_mels>
        out_channels: 12
        kernel_size: 5
    activation: !new:torch.nn.Tanh
    pooling: !new:speechbrain.nnet.pooling.AdaptivePool
        output_size: 1
    fc: !new:speechbrain.nnet.linear.Linear
        input_size: 12
        n_neurons: !ref <emb_dim>
head_batch_norm: False
visual_embedding_model: !new:torch.nn.Sequential
    - !new:ssrl_brain.networks.visual.Pixels
    - !new:torch.nn.Conv2d
        in_channels: 3
        out_channels: 4
        kernel_size: 5
        stride: 3
    - !new:torch.nn.Tanh
    - !new:torch.nn.Flatten
    - !new:torch.nn.Linear
        in_features: 64
        out_features: !ref <visual_emb_dim>
"""


@pytest.fixture(scope="module")
def plain(tiny_corpus, tmp_path_factory):
    """Options of a start, all made with the plain encoder, and its YAML."""
    root = tmp_path_factory.mktemp("plain")
    (root / "plain.yaml").write_text(PLAIN)
    line = [str(root / "plain.yaml")]
    return conftest.make_start(root, tiny_corpus, more=line), line


@pytest.fixture(scope="module")
def runs(plain, tmp_path_factory):
    """Runs a stage on one or two ranks; returns its folder."""
    root, made = tmp_path_factory.mktemp("ranks"), {}

    def run(yaml, num_ranks, *more, **changes):
        key = (yaml, num_ranks, more, *changes.items())
        if key not in made:
            made[key] = root / str(len(made))
            line = command(plain, yaml, made[key], *more, **changes)
            if num_ranks == 1:
                log = root / f"{made[key].name}.log"
                assert processes.run("train", line, log) == 0, log.read_text()
            else:
                codes = processes.run_ranks("train", line, made[key])
                logs = (made[key] / "rank1.log").read_text()
                assert codes == [0, 0], logs[-3000:]
        return made[key]

    return run


def command(plain, yaml, folder, *more, **changes):
    options, line = plain
    options = {**options, **changes, "output_folder": folder}
    return [
        *conftest.arguments(yaml, **options),
        *line,
        *more,
    ]


def checkpoint(folder, name):
    """Tensors of a part of the last checkpoint."""
    (path,) = folder.glob(f"save/CKPT*/{name}.ckpt")
    return torch.load(path, weights_only=True)


# How far the embeddings of a batch are spread, of each rank's share of it.
OF_A_SHARE = {"embedding_spread"}


def assert_close_history(ours, theirs, rel=1e-5):
    """Same figures, but for times, within rounding."""
    ours, theirs = read_history(ours), read_history(theirs)
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for key in mine:
            if not key.endswith("seconds") and key not in OF_A_SHARE:
                assert close(mine[key], other[key], rel), (key, mine, other)


def close(ours, theirs, rel):
    if isinstance(ours, dict):
        return all(close(ours[key], theirs[key], rel) for key in ours)
    if isinstance(ours, (int, float, list)) and ours != theirs:
        return np.allclose(ours, theirs, rtol=rel, atol=rel)
    return ours == theirs


STAGES = ["dino.yaml", "dlg_lc.yaml", "audio_visual.yaml", "ssrl.yaml"]


@pytest.mark.parametrize("yaml", STAGES)
def test_two_ranks_log_what_one_does(yaml, runs):
    assert_close_history(runs(yaml, 1), runs(yaml, 2))


def test_two_ranks_have_the_same_labels_queues_and_losses(runs):
    ours, theirs = runs("ssrl.yaml", 1), runs("ssrl.yaml", 2)
    mine, other = (checkpoint(x, "label_queue") for x in (ours, theirs))
    assert all(torch.equal(mine[key], other[key]) for key in mine)
    for key, value in checkpoint(ours, "loss_memory").items():
        torch.testing.assert_close(
            value, checkpoint(theirs, "loss_memory")[key], rtol=1e-4, atol=1e-5
        )
    labels = [x / "labels/pseudo_labels.csv" for x in (ours, theirs)]
    columns = [
        [row.split(",")[:2] for row in path.read_text().splitlines()]
        for path in labels
    ]
    assert columns[0] == columns[1]


def test_two_ranks_have_the_same_gate(runs):
    ours, theirs = runs("dlg_lc.yaml", 1), runs("dlg_lc.yaml", 2)
    mine, other = (checkpoint(x, "gate_memory") for x in (ours, theirs))
    for key in ("prediction", "passed", "corrected"):
        assert torch.equal(mine[key], other[key]), key
    torch.testing.assert_close(mine["loss"], other["loss"])


def test_two_ranks_have_the_same_joint_gate(runs):
    ours, theirs = runs("audio_visual.yaml", 1), runs("audio_visual.yaml", 2)
    mine, other = (checkpoint(x, "case_memory") for x in (ours, theirs))
    for key in ("prediction", "case"):
        assert torch.equal(mine[key], other[key]), key
    torch.testing.assert_close(mine["loss"], other["loss"])


def test_accumulated_gradients_on_two_ranks(runs):
    ours, theirs = (
        runs("ssrl.yaml", ranks, "--grad_accumulation_factor=2", batch_size=4)
        for ranks in (1, 2)
    )
    assert_close_history(ours, theirs)


def test_two_ranks_verify_and_cluster_as_one(plain, runs, tmp_path):
    options, _ = plain
    options = {**options, "encoder_folder": runs("ssrl.yaml", 1) / "export"}
    labels, scores = {}, {}
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        options |= {"label_folder": folder / "labels", "output_folder": folder}
        for script in ("pseudo_label", "verify"):
            line = conftest.arguments(f"{script}.yaml", **options)
            if ranks == 1:
                assert processes.run(script, line, tmp_path / "log") == 0
            else:
                codes = processes.run_ranks(script, line, tmp_path / script)
                assert codes == [0, 0]
        text = (folder / "labels/pseudo_labels.csv").read_text()
        labels[ranks] = [row.split(",")[:2] for row in text.splitlines()]
        scores[ranks] = json.loads((folder / "metrics.json").read_text())
    assert labels[1] == labels[2]
    assert scores[1] == scores[2]


KILLED = {"kill_at": ("fit_batch", 9)}  # after four steps of six


def test_a_killed_rank_ends_the_other_and_one_goes_on(plain, runs, tmp_path):
    folder = tmp_path / "run"
    line = command(plain, "ssrl.yaml", folder, "--ckpt_interval_steps=1")
    kill = [{}, KILLED]
    assert processes.run_ranks("train", line, folder, kill) == [1, -9]
    told = (folder / "rank0.log").read_text()
    assert "error: another rank is gone" in told
    assert processes.run("train", line, tmp_path / "log") == 0
    assert_close_history(folder, runs("ssrl.yaml", 1))


def test_two_killed_ranks_go_on_exactly(start, tmp_path):
    """With BatchNorm, and in another precision."""

    def run(folder, *options):
        line = conftest.arguments("ssrl.yaml", **start, output_folder=folder)
        line += ["--precision=bf16", "--ckpt_interval_steps=1"]
        return processes.run_ranks("train", line, folder, *options)

    assert run(tmp_path / "straight") == [0, 0]
    assert run(tmp_path / "killed", [KILLED, KILLED]) == [-9, -9]
    assert run(tmp_path / "killed") == [0, 0]
    results = [processes.results(tmp_path / x) for x in ("straight", "killed")]
    assert processes.differences(*results) == []


@pytest.mark.parametrize("failing", [0, 1])
def test_a_rank_that_fails_ends_all(failing, plain, tmp_path):
    folder = tmp_path / "run"
    line = command(plain, "dino.yaml", folder)
    options = [{}, {}]
    options[failing] = {"fail_at": 2}
    begun = time.time()
    assert processes.run_ranks("train", line, folder, options) == [1, 1]
    assert time.time() - begun < 60
    for rank in (0, 1):
        told = (folder / f"rank{rank}.log").read_text()
        who = "" if rank == failing else f"rank {failing}: "
        assert f"error: {who}this rank has had enough\n" in told
        assert "Traceback" not in told
