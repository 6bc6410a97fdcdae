"""Every encoder block: trained, exported, and loaded by stock SpeechBrain."""

import sys

import pytest
import torch
from conftest import ROOT
from speechbrain.inference.speaker import SpeakerRecognition
from test_training import Killed, assert_same_run

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.commands import command_line, train
from ssrl_brain.training.log import read_history

BLOCKS = ROOT / "hparams/encoders"
# A block's own widths, in small.
TINY = {
    "ecapa_c512": {},
    "ecapa_c1024": {},
    "ecapa_c1024_d192": {},
    "resnet": {"channels": "[4, 4, 8, 8]"},
    "resnet_ssrl": {"channels": "[4, 4, 8, 8]"},
    "resnet_wide": {"channels": "[4, 4, 8, 8]"},
    "xvector": {},
    "wavlm": {},
}


@pytest.fixture
def block(request, tmp_path):
    """Path of an encoder block; WavLM's names a small one in a folder."""
    path = BLOCKS / f"{request.param}.yaml"
    if request.param != "wavlm":
        return path
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        num_buckets=16,
        max_bucket_distance=40,
    )
    folder = tmp_path / "wavlm"
    transformers.WavLMModel(config).save_pretrained(folder)
    small = tmp_path / "wavlm.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in (("microsoft/wavlm-base-plus", str(folder)), ("768", "16")):
        assert old in text
        text = text.replace(old, new)
    small.write_text(text, encoding="utf-8")
    return small


def run(command, block, folder, stage, start, interval=None, **options):
    """A tiny run of a stage with an encoder block."""
    options = {
        **start,
        "encoder_folder": None,
        "number_of_epochs": 1,
        "valid_every": 9,
        **TINY[block.stem],
        **options,
    }
    if options["encoder_folder"] is None:
        del options["encoder_folder"]
    yaml, *given = command(stage, **options, output_folder=folder)
    given += [f"--ckpt_interval_steps={interval}"] if interval else []
    return train.main([yaml, str(block), *given])


def test_every_block_is_tested():
    assert {path.stem for path in BLOCKS.glob("*.yaml")} == set(TINY)


@pytest.mark.parametrize("block", TINY, indirect=True)
def test_block_trains_and_stock_speechbrain_embeds_the_same(
    block, start, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where WavLM would keep its downloads
    folder = tmp_path / "run"
    brain = run(command, block, folder, "dino.yaml", start)
    (record,) = read_history(folder)
    assert torch.isfinite(torch.tensor(record["loss"]))
    assert 0 <= record["eer_student"] <= 100

    model = SpeakerRecognition.from_hparams(source=str(folder / "export"))
    torch.manual_seed(1)
    wave = 0.1 * torch.randn(2, 8000)
    encode = brain.encode_with(brain.teacher.encoder)
    with torch.no_grad():
        expected = encode(wave, torch.ones(2))
    found = model.encode_batch(wave).flatten(1)
    assert found.shape == (2, 8)
    # the toolkit's statistics pooling adds noise of 1e-4
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("block", TINY, indirect=True)
def test_the_next_stage_starts_from_the_block(
    block, start, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    first, second = tmp_path / "contrastive", tmp_path / "finetune"
    brain = run(command, block, first, "contrastive.yaml", start)
    trained = brain.hparams.exported.encoder.state_dict()
    brain = run(
        command,
        block,
        second,
        "finetune.yaml",
        start,
        encoder_folder=first / "export",
        number_of_epochs=0,
    )
    found = brain.hparams.exported.encoder.state_dict()
    assert found.keys() == trained.keys()
    for key, value in trained.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize("block", ["wavlm"], indirect=True)
@pytest.mark.parametrize("freeze", [True, False])
def test_wavlm_learns_only_where_it_is_not_frozen(
    block, freeze, start, command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = block.read_text().replace("freeze: True", f"freeze: {freeze}")
    block.write_text(text)
    options = {"warmup_epochs": 0, "lr": 0.01}
    brain = run(
        command, block, tmp_path / "run", "finetune.yaml", start, **options
    )
    ssl = brain.hparams.student.encoder["ssl"]
    assert ssl.weights.any()  # the mean of the layers is learnt in any case
    fresh = type(ssl.model).from_pretrained(tmp_path / "wavlm").state_dict()
    learnt = ssl.model.state_dict()
    changed = {key for key in fresh if not torch.equal(fresh[key], learnt[key])}
    assert bool(changed) is not freeze
    exported = torch.load(
        tmp_path / "run/export/embedding_model.ckpt", weights_only=True
    )
    for key in changed:
        assert torch.equal(exported[f"ssl.model.{key}"], learnt[key])


@pytest.mark.parametrize("block", ["wavlm"], indirect=True)
def test_wavlm_resumes_exactly(block, start, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = block.read_text().replace("freeze: True", "freeze: False")
    block.write_text(text)
    given = (command, block, tmp_path / "straight", "contrastive.yaml", start)
    run(*given)
    given = (command, block, tmp_path / "killed", "contrastive.yaml", start)
    fit_batch, steps = SpeakerBrain.fit_batch, []

    def killed_at(brain, batch):
        if len(steps) == 2:
            raise Killed
        steps.append(batch)
        return fit_batch(brain, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SpeakerBrain, "fit_batch", killed_at)
        with pytest.raises(Killed):
            run(*given, interval=1)
    run(*given)
    assert_same_run(tmp_path / "straight", tmp_path / "killed")


def test_a_missing_package_is_named_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for name in list(sys.modules):
        if name.startswith("speechbrain.integrations.huggingface"):
            monkeypatch.delitem(sys.modules, name)
    files = [str(ROOT / "hparams/dino.yaml"), str(BLOCKS / "wavlm.yaml")]
    stage, _, overrides = command_line.parse([*files, "--data_folder=x"])
    with pytest.raises(ValueError, match="pip install transformers") as caught:
        command_line.load(stage, overrides)
    assert "\n" not in str(caught.value)
