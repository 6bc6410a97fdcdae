"""Crops of utterances together with frames of their faces."""

import numpy as np

from ssrl_brain.data.frames import Frames
from ssrl_brain.data.sampler import random_generator
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import CropDataset


class AudioVisualDataset(CropDataset):
    """A ``CropDataset`` that gives one frame per image view as well.

    Which frames, and their distortion, are a function of (seed, epoch,
    utterance), the distortion of the view as well. The views of an utterance
    see different frames, as long as there are enough.

    Arguments
    ---------
    frames : Frames
        Of the utterances, in the order of their table.
    image_size : int
        Height and width of the images, in pixels.
    image_views : list
        For each view None, or what draws its distortion, see
        ``ssrl_brain.data.image_augment.ImageAugment``.
    *args, **kwargs
        Of ``CropDataset``.
    """

    def __init__(self, frames, image_size, image_views, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.frames = frames
        self.image_size = image_size
        self.image_views = image_views

    def __getitem__(self, key):
        index, views = super().__getitem__(key)
        return index, views, self.images(key)

    def images(self, key):
        """One (3, L, L) uint8 array per image view."""
        place = self.seed, key.epoch, key.index
        names = self.frames.names_of(key.index)
        order = random_generator("frames", *place).permutation(len(names))
        images = []
        for number, view in enumerate(self.image_views):
            distort = view and view(random_generator("images", *place, number))
            name = names[order[number % len(names)]]
            images.append(
                self.frames.read(key.index, name, self.image_size, distort)
            )
        return images

    def labelled(self, labels, keep):
        """Those utterances that are to be kept, see ``CropDataset``."""
        kept = super().labelled(labels, keep)
        kept.frames = self.frames.subset(np.flatnonzero(keep))
        return kept

    def fingerprint(self):
        """Identity of utterances, labels and frames."""
        return super().fingerprint() + self.frames.fingerprint()


def make_audio_visual_set(
    table_csv,
    frames_csv,
    frames_folder,
    image_size,
    image_views,
    data_folder,
    views,
    seed,
    sample_rate,
    pitch=None,
    subset=None,
):
    """The ``AudioVisualDataset`` of a prepared folder; named in its YAML.

    ``subset`` is that of ``make_train_set``.
    """
    table = Utterances.from_csv(table_csv)
    frames = Frames.from_csv(frames_csv, frames_folder, table.ids)
    rows = range(len(table)) if subset is None else subset(table)
    if len(rows) < len(table):
        table, frames = table.subset(rows), frames.subset(rows)
    return AudioVisualDataset(
        frames,
        image_size,
        image_views,
        table,
        data_folder,
        views,
        seed,
        sample_rate,
        pitch=pitch,
    )
