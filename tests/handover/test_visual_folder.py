"""The exports of an audio-visual stage, and labels made with them."""

import json

import numpy as np
import pytest
import torch
from speechbrain.inference.speaker import SpeakerRecognition

from ssrl_brain.commands import label, train
from ssrl_brain.data.frames import Frames
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.label_folder import read_pseudo_labels
from ssrl_brain.handover.visual_folder import ExportedVisualEncoder


@pytest.fixture(scope="module")
def trained(start, command, tmp_path_factory):
    """Output folder of an audio-visual stage, and its Brain."""
    folder = tmp_path_factory.mktemp("audio_visual")
    line = command("audio_visual.yaml", **start, output_folder=folder)
    return folder, train.main([*line, "--valid_every=9"])


@pytest.fixture(scope="module")
def data(start):
    """Table and frames of the corpus."""
    prepared = start["prepared_folder"]
    table = Utterances.from_csv(prepared / "train.csv")
    csv = prepared / "frames.csv"
    return table, Frames.from_csv(csv, start["frames_folder"], table.ids)


def test_stock_speechbrain_loads_the_encoder_of_speech(trained):
    folder, brain = trained
    model = SpeakerRecognition.from_hparams(str(folder / "export"))
    text = (folder / "export/hyperparams.yaml").read_text()
    assert "ssrl_brain" not in text and "visual" not in text
    wave = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    expected = brain.encode_with(brain.hparams.student.encoder)
    with torch.no_grad():
        torch.testing.assert_close(
            model.encode_batch(wave).squeeze(1), expected(wave, torch.ones(2))
        )


def test_the_visual_encoder_is_the_one_that_was_trained(trained):
    folder, brain = trained
    visual = ExportedVisualEncoder(folder / "export_visual")
    assert visual.image_size == 16
    images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8)
    network = brain.hparams.student.visual.encoder.eval()
    with torch.no_grad():
        assert torch.equal(visual(images), network(images).flatten(1))


def test_another_folder_is_refused(trained, tmp_path):
    folder, _ = trained
    with pytest.raises(FileNotFoundError, match="export_visual folder"):
        ExportedVisualEncoder(folder / "export")
    with pytest.raises(FileNotFoundError, match="export_visual folder"):
        ExportedVisualEncoder(tmp_path)
    (tmp_path / "hyperparams.yaml").write_text(
        "image_size: 16\nembedding_model: !apply:os.getcwd []\n"
    )
    with pytest.raises(ValueError, match="has the tag !apply"):
        ExportedVisualEncoder(tmp_path)


def test_labels_of_both_together(trained, data, start, command, tmp_path):
    folder, _ = trained
    table, frames = data
    options = {
        **start,
        "encoder_folder": folder / "export",
        "visual_encoder_folder": folder / "export_visual",
        "label_folder": tmp_path / "labels",
        "compare_modalities": True,
    }
    metrics = label.main(command("pseudo_label.yaml", **options))
    assert {"nmi", "nmi_audio", "nmi_visual"} <= set(metrics)
    embeddings = np.load(tmp_path / "labels/embeddings.npy")
    assert embeddings.shape == (24, 8 + 6)
    speech = ExportedEncoder(folder / "export").embed(
        table, start["data_folder"]
    )
    faces = ExportedVisualEncoder(folder / "export_visual").embed(frames)
    for part, ours in ((speech, embeddings[:, :8]), (faces, embeddings[:, 8:])):
        expected = torch.nn.functional.normalize(part, dim=1).numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    found = read_pseudo_labels(tmp_path / "labels", table)
    assert found.centroids.shape == (7, 14)
    # nobody takes these embeddings for those of the encoder of speech
    encoder = ExportedEncoder(folder / "export").fingerprint()
    source = json.loads((tmp_path / "labels/source.json").read_text())
    assert source["encoder"] != encoder and encoder in source["encoder"]


def test_labels_of_faces_alone(trained, start, command, tmp_path):
    folder, _ = trained
    options = {
        **start,
        "encoder_folder": "",
        "visual_encoder_folder": folder / "export_visual",
        "label_folder": tmp_path / "labels",
    }
    label.main(command("pseudo_label.yaml", **options))
    assert np.load(tmp_path / "labels/embeddings.npy").shape == (24, 6)
    options["visual_encoder_folder"] = ""
    with pytest.raises(ValueError, match="needs --encoder_folder="):
        label.main(command("pseudo_label.yaml", **options))


def test_training_may_go_on_from_both(trained, start, command, tmp_path):
    folder, brain = trained
    options = {
        **start,
        "encoder_folder": folder / "export",
        "visual_encoder_folder": folder / "export_visual",
        "number_of_epochs": 0,
        "output_folder": tmp_path,
    }
    again = train.main(command("audio_visual.yaml", **options))
    for part in ("audio", "visual"):
        ours, theirs = (
            getattr(x.hparams.student, part).encoder.state_dict()
            for x in (brain, again)
        )
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
