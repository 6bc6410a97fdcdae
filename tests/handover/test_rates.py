"""Models of other rates than 16 kHz, as stock SpeechBrain hears with them."""

import numpy as np
import pytest
import soundfile
import torch
from ruamel.yaml import YAML
from speechbrain.inference.speaker import SpeakerRecognition

from ssrl_brain.commands import train, verify
from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.trust import check_hyperparams

RATE = 8000
FILES = {"a.wav": 8000, "b.wav": 16000, "c.flac": 44100, "d.wav": 8000}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Voices of which each file has a rate of its own."""
    root = tmp_path_factory.mktemp("rates")
    generator = np.random.default_rng(0)
    for name, rate in FILES.items():
        time = np.arange(rate) / rate
        pitch = generator.uniform(100, 300)
        wave = sum(
            np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 9)
        )
        noise = 0.01 * generator.standard_normal(rate)
        soundfile.write(root / name, 0.2 * wave + noise, rate)
    (root / "trials.txt").write_text(
        "".join(f"{int(x == 'd.wav')} a.wav {x}\n" for x in list(FILES)[1:])
    )
    return root


@pytest.fixture(scope="module")
def exported(start, command, tmp_path_factory):
    """An untrained encoder of 8 kHz."""
    root = tmp_path_factory.mktemp("export")
    options = {
        **{k: start[k] for k in ("data_folder", "noise_folder", "rir_folder")},
        "sample_rate": RATE,
        "number_of_epochs": 0,
        "prepared_folder": root / "prepared",
        "output_folder": root / "run",
    }
    train.main(command("contrastive.yaml", **options))
    return root / "run/export"


def test_stock_speechbrain_scores_as_verify_does(
    exported, corpus, command, tmp_path
):
    options = {
        "data_folder": corpus,
        "trial_lists": "trials.txt",
        "sample_rate": RATE,
        "encoder_folder": exported,
        "output_folder": tmp_path,
        "num_bootstraps": 0,
    }
    verify.main(command("verify.yaml", **options))
    model = SpeakerRecognition.from_hparams(str(exported))
    lines = (tmp_path / "scores/trials.txt").read_text().splitlines()
    assert len(lines) == 3
    found = []
    for line in lines:
        score, _, *names = line.split()
        paths = [
            str(next(corpus.glob(f"{name}.[wf]*"))) for name in names
        ]  # fmt: skip
        assert all(len(model.load_audio(path)) == RATE for path in paths)
        expected, _ = model.verify_files(*paths)
        found.append(float(score))
        assert abs(expected.item() - found[-1]) < 1e-5, names
    assert max(found) - min(found) > 1e-3  # which is not all the same


def test_the_normalizer_matters(exported, corpus, tmp_path):
    """What stock SpeechBrain computed without it; such folders still load."""
    yaml = YAML()
    content = yaml.load(exported / "hyperparams.yaml")
    del content["audio_normalizer"]
    with open(tmp_path / "hyperparams.yaml", "w") as file:
        yaml.dump(content, file)
    weights = exported / "embedding_model.ckpt"
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    paths = [str(corpus / name) for name in ("a.wav", "b.wav")]
    scores = [
        SpeakerRecognition.from_hparams(str(folder)).verify_files(*paths)[0]
        for folder in (exported, tmp_path)
    ]
    assert abs(scores[0] - scores[1]) > 1e-3
    old, new = (ExportedEncoder(folder) for folder in (tmp_path, exported))
    assert old.sample_rate == new.sample_rate == RATE
    wave = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        old(wave, torch.ones(1)), new(wave, torch.ones(1))
    )


@pytest.mark.parametrize(
    "options, words",
    [
        ("{sample_rate: 8000, mix: keep}", None),
        ("{sample_rate: 8000, hub: a/b}", "builds .*AudioNormalizer with hub"),
    ],
)
def test_only_its_own_options_are_trusted(options, words):
    name = "speechbrain.dataio.preprocess.AudioNormalizer"
    pretrainer = "speechbrain.utils.parameter_transfer.Pretrainer"
    text = (
        f"audio_normalizer: !new:{name} {options}\n"
        f"pretrainer: !new:{pretrainer} {{loadables: {{e: 1}}}}\n"
    )
    if words is None:
        assert check_hyperparams(text) == ["e"]
        return
    with pytest.raises(ValueError, match=words):
        check_hyperparams(text)
