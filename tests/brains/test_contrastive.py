"""What the contrastive stage tells before it begins."""

from types import SimpleNamespace

import numpy as np
import pytest

from ssrl_brain.brains.contrastive import ContrastiveBrain
from ssrl_brain.data.views import View


def begin(durations, seconds):
    utterances = SimpleNamespace(durations=np.array(durations))
    views = [View(2, seconds)]
    dataset = SimpleNamespace(utterances=utterances, views=views)
    ContrastiveBrain.make_state(SimpleNamespace(train_set=dataset))


@pytest.mark.parametrize("seconds", [3.0, [2.0, 4.0]])
def test_crops_of_short_utterances_are_alike(seconds, caplog):
    begin([2.4, 2.8, 3.0, 9.0], seconds)
    assert "In 75 % of the utterances two crops of 3 s" in caplog.text
    assert "--crop_seconds=1.4 " in caplog.text  # half of 2.9, to even


def test_crops_with_room_are_not_told_of(caplog):
    begin([2.4, 5.0, 8.0], 3.0)
    assert not caplog.text
