"""Encoder and label folders that were written before the package had rooms."""

import json

import numpy as np
import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from ssrl_brain.data.utterances import Utterances
from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.initial_weights import initialise
from ssrl_brain.handover.label_folder import read_pseudo_labels

# As version 0.1.0 wrote it at commit 8e0426a, of a smaller network.
HYPERPARAMS = """sample_rate: 16000
compute_features: &id001 !new:speechbrain.lobes.features.Fbank
  sample_rate: 16000
  n_mels: 16
  win_length: 25
  hop_length: 10
mean_var_norm: &id002 !new:speechbrain.processing.features.InputNormalization
  norm_type: sentence
  std_norm: false
embedding_model: &id003 !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
  input_size: 16
  channels: [8, 8, 8, 8, 24]
  kernel_sizes: [5, 3, 3, 3, 1]
  dilations: [1, 2, 3, 4, 1]
  attention_channels: 4
  lin_neurons: 8
modules:
  compute_features: *id001
  mean_var_norm: *id002
  embedding_model: *id003
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    embedding_model: *id003
"""


@pytest.fixture
def encoder_folder(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS)
    (folder / "metrics.json").write_text("{}\n")
    (folder / "README.md").write_text("Stage: DINO.\n")
    encoder = load_hyperpyyaml(HYPERPARAMS)["embedding_model"]
    torch.save(encoder.state_dict(), folder / "embedding_model.ckpt")
    return folder


def test_an_encoder_folder_loads(encoder_folder):
    encoder = ExportedEncoder(encoder_folder)
    vectors = encoder(torch.randn(2, 16000), torch.ones(2))
    assert encoder.sample_rate == 16000 and vectors.shape == (2, 8)


def test_a_stage_starts_from_it(encoder_folder):
    stage = load_hyperpyyaml(HYPERPARAMS)
    parts = ("compute_features", "mean_var_norm")
    initialise(
        stage["embedding_model"],
        encoder_folder,
        features=[stage[part] for part in parts],
        sample_rate=16000,
    )
    expected = torch.load(
        encoder_folder / "embedding_model.ckpt", weights_only=True
    )
    for key, value in stage["embedding_model"].state_dict().items():
        assert torch.equal(value, expected[key])


def test_a_label_folder_is_read(tmp_path):
    table = Utterances(["a", "b"], ["a.wav", "b.wav"], [9, 9], [9, 9], [0, 1])
    np.save(tmp_path / "centroids.npy", np.eye(2, dtype=np.float32))
    (tmp_path / "pseudo_labels.csv").write_text(
        "ID,pseudo_label,distance,keep\na,1,0.5,1\nb,0,0.25,0\n"
    )
    source = {"utterances": table.fingerprint(), "num_utterances": 2}
    (tmp_path / "source.json").write_text(
        json.dumps({"seed": 1986, **source, "num_clusters": 2})
    )
    found = read_pseudo_labels(tmp_path, table)
    assert found.labels.tolist() == [1, 0]
    assert found.keep.tolist() == [True, False]
