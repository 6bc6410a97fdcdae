"""Encoder folders, read back by stock SpeechBrain."""

import copy
import json
import re

import pytest
import torch
from speechbrain.inference.speaker import SpeakerRecognition
from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.processing.features import InputNormalization

from ssrl_brain.commands.command_line import resolved_yaml
from ssrl_brain.handover.export import export_encoder, inference_yaml
from ssrl_brain.handover.initial_weights import load_encoder_
from ssrl_brain.handover.publishing import check_is_tensors
from ssrl_brain.system.ours import MARKER

TINY = {
    "data_folder": "/secret/place",
    "channels": [8, 8, 8, 8, 24],
    "attention_channels": 4,
    "emb_dim": 6,
    "n_mels": 20,
}


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    model = ECAPA_TDNN(
        20, lin_neurons=6, channels=[8, 8, 8, 8, 24], attention_channels=4
    )
    model(torch.randn(4, 30, 20))  # statistics of BatchNorm
    return model.eval()


@pytest.fixture(scope="module", params=["dino", "ssrl"])
def stage_yaml(request, repository):
    """A resolved stage YAML, as an output folder holds it."""
    path = repository / "hparams" / f"{request.param}.yaml"
    tiny = dict(TINY)
    text = path.read_text(encoding="utf-8")
    for key in ("encoder_folder", "label_folder"):
        if f"{key}: !PLACEHOLDER" in text:
            tiny[key] = "/secret/other"
    return "# made in /secret/place\n" + resolved_yaml(path, tiny)


@pytest.fixture
def exported(tmp_path, encoder, stage_yaml):
    export_encoder(
        tmp_path / "export", encoder, stage_yaml, "DINO", {"eer_teacher": 4.25}
    )
    return tmp_path / "export"


def test_the_folder_is_complete(exported):
    assert sorted(path.name for path in exported.iterdir()) == [
        MARKER,
        "README.md",
        "embedding_model.ckpt",
        "hyperparams.yaml",
        "metrics.json",
    ]
    metrics = json.loads((exported / "metrics.json").read_text())
    assert metrics == {"eer_teacher": 4.25}
    card = (exported / "README.md").read_text()
    assert "Stage: DINO." in card and "- eer_teacher: 4.25" in card


def test_the_yaml_names_neither_this_package_nor_any_place(exported):
    text = (exported / "hyperparams.yaml").read_text()
    assert "#" not in text and "/" not in text and "secret" not in text
    classes = re.findall(r"!\w+:(\S+)", text)
    assert len(classes) == 5
    assert all(name.startswith("speechbrain.") for name in classes)
    assert "\n\n" not in text and "!ref" not in text


def test_stock_speechbrain_computes_the_same_embedding(
    exported, encoder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = SpeakerRecognition.from_hparams(source=str(exported))
    torch.manual_seed(1)
    wave = torch.randn(2, 16000)
    settings = model.hparams.compute_features
    features = Fbank(
        n_mels=20,
        win_length=settings.compute_STFT.win_length * 1000 // 16000,
        hop_length=settings.compute_STFT.hop_length * 1000 // 16000,
    )(wave)
    features = InputNormalization(norm_type="sentence", std_norm=False)(
        features, torch.ones(2)
    )
    with torch.no_grad():
        expected = encoder(features)
    found = model.encode_batch(wave)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_weights_are_a_plain_state_dict(exported, encoder):
    state = torch.load(exported / "embedding_model.ckpt", weights_only=True)
    assert state.keys() == encoder.state_dict().keys()
    assert not any(value.requires_grad for value in state.values())


PARTS = """sample_rate: 16000
compute_features: !new:speechbrain.lobes.features.Fbank {}
mean_var_norm: !new:speechbrain.processing.features.InputNormalization {}
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 80
    activation: !name:torch.nn.ReLU
"""


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, encoder, value):
    broken = copy.deepcopy(encoder)
    broken.fc.conv.bias.data[0] = value
    with pytest.raises(ValueError, match="fc.conv.bias holds NaN or infinity"):
        export_encoder(tmp_path / "x", broken, PARTS, "DINO")
    assert not (tmp_path / "x").exists()
    export_encoder(tmp_path / "x", encoder, PARTS, "DINO")
    weights = tmp_path / "x/embedding_model.ckpt"
    torch.save(broken.state_dict(), weights)
    for refused in (
        lambda: load_encoder_(encoder, tmp_path / "x"),
        lambda: check_is_tensors(weights),
    ):
        with pytest.raises(ValueError, match="ckpt: fc.conv.bias holds NaN"):
            refused()


def test_foreign_classes_are_exported_when_asked_for(tmp_path, encoder):
    text = PARTS.replace("torch.nn.ReLU", "my_net.act.Swish")
    with pytest.raises(ValueError, match="uses my_net.act.Swish, .*_foreign"):
        export_encoder(tmp_path / "x", encoder, text, "DINO")
    export_encoder(tmp_path / "x", encoder, text, "DINO", foreign=True)
    card = (tmp_path / "x/README.md").read_text()
    assert "it needs my_net.act.Swish, importable" in card
    export_encoder(tmp_path / "x", encoder, PARTS, "DINO", foreign=True)
    assert "importable" not in (tmp_path / "x/README.md").read_text()


def test_torch_may_be_named():
    assert inference_yaml(PARTS)["embedding_model"]["input_size"] == 80


@pytest.mark.parametrize(
    "old, new",
    [
        ("!new:speechbrain.lobes.features.Fbank", "!new:ssrl_brain.x.Fbank"),
        ("!name:torch.nn.ReLU", "!name:ssrl_brain.networks.models.Swish"),
        (
            "input_size: 80",
            "widths: [!apply:ssrl_brain.data.prepare.auto.width [1]]",
        ),
    ],
)
def test_classes_of_this_package_are_refused_at_any_depth(old, new):
    assert old in PARTS
    with pytest.raises(ValueError, match="stock SpeechBrain can import"):
        inference_yaml(PARTS.replace(old, new))


def test_missing_parts_are_named():
    text = PARTS.replace("sample_rate", "rate").replace("mean_var", "mean")
    with pytest.raises(ValueError, match="lacks sample_rate, mean_var_norm"):
        inference_yaml(text)


def test_a_failed_export_leaves_the_earlier_one(tmp_path, encoder):
    export_encoder(tmp_path / "x", encoder, PARTS, "DINO")
    with pytest.raises(ValueError):
        export_encoder(
            tmp_path / "x", encoder, PARTS, "DINO", {"eer": float("nan")}
        )
    assert json.loads((tmp_path / "x" / "metrics.json").read_text()) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
