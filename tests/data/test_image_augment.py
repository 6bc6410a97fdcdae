"""Distortions of faces."""

import numpy as np
import pytest
from PIL import Image

from ssrl_brain.data.image_augment import ImageAugment


def image():
    """Different in every corner and every channel."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def apply(augment, seed):
    return np.asarray(augment(np.random.default_rng(seed))(image()))


def test_off_changes_nothing():
    augment = ImageAugment(0, 0, 0, 0)
    assert np.array_equal(apply(augment, 0), np.asarray(image()))


def test_all_is_a_function_of_the_generator():
    augment = ImageAugment()
    first, again, other = (apply(augment, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("number", range(4))
def test_each_happens_as_often_as_asked(number):
    probs = [0, 0, 0, 0]
    probs[number] = 0.3
    augment = ImageAugment(*probs, blur=(0.1, 0.1))
    changed = [
        not np.array_equal(apply(augment, seed), np.asarray(image()))
        for seed in range(300)
    ]
    assert 0.2 < np.mean(changed) < 0.4


def test_each_alone():
    flipped = apply(ImageAugment(0, 1, 0, 0), 0)
    assert np.array_equal(flipped, np.asarray(image())[:, ::-1])
    grey = apply(ImageAugment(0, 0, 1, 0), 0)
    assert (grey == grey[..., :1]).all()
    blurred = apply(ImageAugment(0, 0, 0, 1, blur=(0.1, 0.1)), 0)
    assert blurred.std() < 0.7 * np.asarray(image()).std()
    assert abs(blurred.mean() - np.asarray(image()).mean()) < 3


def test_one_probability_leaves_the_others_alone():
    """Flipping less often does not draw other colours."""
    colour, both = ImageAugment(1, 0, 0, 0), ImageAugment(1, 1, 0, 0)
    for seed in range(5):
        assert np.array_equal(apply(both, seed), apply(colour, seed)[:, ::-1])


def test_a_wrong_probability_is_told():
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        ImageAugment(flip_prob=1.5)
