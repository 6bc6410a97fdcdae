"""Frames of faces of the utterances of a table.

Which there are is found by ``frame_files``, and ``frame_readers`` reads them.
"""

import csv
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from ssrl_brain.data.frame_readers import read_frame, short
from ssrl_brain.data.tree import leads_out
from ssrl_brain.data.utterances import Strings

COLUMNS = ["ID", "source", "frames"]
REMEDY = "put it back, or prepare again and use a new --output_folder"


class Frames:
    """Frames of the utterances of a table, in its order.

    Arguments
    ---------
    folder : str
    sources, names : list of str or Strings
        For each utterance its folder of images or its video, and the names of
        images or the seconds, joined by "/".

    Example
    -------
    >>> frames = Frames("faces", ["a", "b.mp4"], ["1.jpg/2.jpg", "0"])
    >>> len(frames), frames.names_of(0), frames.subset([1]).names_of(0)
    (2, ['1.jpg', '2.jpg'], ['0'])
    """

    def __init__(self, folder, sources, names):
        self.folder = str(folder)
        self.sources = Strings(sources)
        self.names = Strings(names)

    @classmethod
    def from_csv(cls, path, folder, ids):
        """Reads ``frames.csv`` of a prepared folder.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is missing, damaged, or of other utterances.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{path} does not exist: give --frames_folder=<folder of "
                "frames>, with which any stage prepares it"
            )
        csv.field_size_limit(1 << 30)  # hours of video in one row
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        if rows[:1] != [COLUMNS] or any(len(row) != 3 for row in rows):
            raise ValueError(
                f"{path}: expected the columns {','.join(COLUMNS)}: prepare "
                "again"
            )
        if [row[0] for row in rows[1:]] != list(ids):
            raise ValueError(
                f"{path} is of other utterances than the table: prepare again"
            )
        for _, source, names in rows[1:]:
            if leads_out(source) or ".." in names.split("/") or not names:
                raise ValueError(
                    f"{path} names {source[:80]!r}, which has no frames inside "
                    "of --frames_folder: prepare again"
                )
        _, sources, names = zip(*rows[1:], strict=True)
        return cls(folder, sources, names)

    def __len__(self):
        return len(self.sources)

    def names_of(self, row):
        """Names of all frames of an utterance."""
        return self.names[int(row)].split("/")

    def read(self, row, name, size, augment=None):
        """A frame as an array.

        Arguments
        ---------
        row : int
        name : str
            One of ``names_of(row)``.
        size : int
            Height and width to which it is scaled.
        augment : callable, optional
            From an image to an image.

        Returns
        -------
        numpy.ndarray
            (3, size, size) uint8.

        Raises
        ------
        ValueError
            If the frame cannot be read.
        """
        source = self.sources[int(row)]
        try:
            image = read_frame(self.folder, source, name)
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(
                f"{self.folder}/{source} ({name}) cannot be read any more "
                f"({short(error)}): {REMEDY}"
            ) from error
        image = image.resize((size, size), Image.Resampling.BILINEAR)
        if augment is not None:
            image = augment(image)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

    def subset(self, rows):
        """Frames of some rows, in their order."""
        rows = [int(row) for row in rows]
        return Frames(
            self.folder,
            [self.sources[row] for row in rows],
            [self.names[row] for row in rows],
        )

    def fingerprint(self):
        """Changes with any frame added, removed or renamed."""
        digest = hashlib.sha256()
        for strings in (self.sources, self.names):
            digest.update(strings.offsets.tobytes())
            digest.update(strings.bytes.tobytes())
        return digest.hexdigest()
