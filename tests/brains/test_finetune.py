"""The stage with labels: where its classifier begins."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ssrl_brain.commands import train
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.speakers import read_speakers
from ssrl_brain.handover.encoder_folder import ExportedEncoder


@pytest.fixture
def head(start, command, tmp_path):
    """Weight of the classifier before the first step, and the Brain."""

    def head(without=(), **changes):
        options = {**start, "number_of_epochs": 0, "label_fraction": 1.0}
        options = {k: v for k, v in options.items() if k not in without}
        line = command("finetune.yaml", **options, **changes)
        brain = train.main([*line, f"--output_folder={tmp_path / 'run'}"])
        return brain.head.weight.detach(), brain

    return head


def test_the_classifier_begins_at_the_means_of_the_speakers(head, start):
    weight, brain = head()
    table = Utterances.from_csv(start["prepared_folder"] / "train.csv")
    encoder = ExportedEncoder(start["encoder_folder"])
    unit = F.normalize(encoder.embed(table, start["data_folder"])).numpy()
    speakers = np.asarray(
        read_speakers(start["prepared_folder"] / "speakers.csv", table.ids)
    )
    sums = np.stack([unit[speakers == k].sum(0) for k in range(4)])
    expected = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    assert brain.speakers.tolist() == speakers.tolist()
    assert np.allclose(weight, expected, atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"head_at_means": False}, {"without": ["encoder_folder"]}]
)
def test_without_the_key_or_an_encoder_it_is_random(head, changes):
    weight, brain = head(**changes)
    means = brain.speaker_means()
    assert not torch.allclose(F.normalize(weight), means, atol=1e-2)
