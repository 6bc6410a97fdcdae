"""Distortions of images of faces, drawn as a function of a generator."""

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


class ImageAugment:
    """Colour, flip, grey and blur, each with its own probability (DLG-LC, V-C2).

    The paper gives no numbers; these are those of SimCLR and DINO. What is
    drawn does not depend on what is applied, so that one probability may
    change without the rest.

    Arguments
    ---------
    colour_prob, flip_prob, grey_prob, blur_prob : float
    brightness, contrast, saturation : float
        Factors are drawn from 1 - x to 1 + x.
    hue : float
        Turns from -x to x, in parts of the circle.
    blur : list of float
        Lowest and highest radius, in parts of the image's width.

    Example
    -------
    >>> augment = ImageAugment(0.0, flip_prob=1.0, grey_prob=0.0, blur_prob=0.0)
    >>> image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    >>> mirrored = augment(np.random.default_rng(0))(image)
    >>> np.asarray(mirrored).tolist()
    [[[3, 4, 5], [0, 1, 2]]]
    """

    def __init__(
        self,
        colour_prob=0.8,
        flip_prob=0.5,
        grey_prob=0.2,
        blur_prob=0.5,
        brightness=0.4,
        contrast=0.4,
        saturation=0.2,
        hue=0.1,
        blur=(0.0005, 0.01),
    ):
        self.probs = colour_prob, flip_prob, grey_prob, blur_prob
        self.factors = brightness, contrast, saturation
        self.hue = hue
        self.blur = tuple(blur)
        if not all(0 <= prob <= 1 for prob in self.probs):
            raise ValueError(
                f"probabilities of colour, flip, grey and blur must lie in "
                f"[0, 1], not {self.probs}"
            )

    def __call__(self, generator):
        """Draws a distortion: a function from an image to an image."""
        colour, flip, grey, blur = generator.random(4) < self.probs
        factors = [generator.uniform(1 - x, 1 + x) for x in self.factors]
        turn = generator.uniform(-self.hue, self.hue)
        radius = generator.uniform(*self.blur)

        def distort(image):
            if flip:
                image = ImageOps.mirror(image)
            if colour:
                image = distort_colour(image, factors, turn)
            if grey:
                image = image.convert("L").convert("RGB")
            if blur:
                image = image.filter(
                    ImageFilter.GaussianBlur(radius * image.width)
                )
            return image

        return distort


def distort_colour(image, factors, turn):
    """Scales brightness, contrast and saturation, and turns the hue.

    Example
    -------
    >>> red = Image.new("RGB", (1, 1), (200, 0, 0))
    >>> distort_colour(red, [0.5, 1, 1], 0.0).getpixel((0, 0))
    (100, 0, 0)
    >>> distort_colour(red, [1, 1, 1], 1 / 3).getpixel((0, 0))
    (0, 200, 0)
    """
    kinds = (
        ImageEnhance.Brightness,
        ImageEnhance.Contrast,
        ImageEnhance.Color,
    )
    for kind, factor in zip(kinds, factors, strict=True):
        image = kind(image).enhance(factor)
    hue, *others = image.convert("HSV").split()
    turned = (np.asarray(hue, dtype=np.int16) + round(256 * turn)) % 256
    hue = Image.fromarray(turned.astype(np.uint8))
    return Image.merge("HSV", (hue, *others)).convert("RGB")
