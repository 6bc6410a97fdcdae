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
from ssrl_brain.data.utterances import Strings, as_strings
from ssrl_brain.system.files import read_table

COLUMNS = ["ID", "source", "frames"]
OF_OTHERS = "{} is of other utterances than the table: prepare again"
REMEDY = "put it back, or prepare again and use a new --output_folder"


class Frames:
    """Frames of the utterances of a table, in its order.

    Arguments
    ---------
    folder : str
    sources, names : iterable of str
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
        self.sources = as_strings(sources)
        self.names = as_strings(names)

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
        header, rows = read_table(path)
        if header != COLUMNS:
            raise ValueError(
                f"{path}: expected the columns {','.join(COLUMNS)}: prepare "
                "again"
            )
        sources, names, expected = Strings(), Strings(), iter(ids)
        for id, source, frames in rows:
            if id != next(expected, None):
                raise ValueError(OF_OTHERS.format(path))
            if leads_out(source) or ".." in frames.split("/") or not frames:
                raise ValueError(
                    f"{path} names {source[:80]!r}, which has no frames inside "
                    "of --frames_folder: prepare again"
                )
            sources.append(source)
            names.append(frames)
        if next(expected, None) is not None:
            raise ValueError(OF_OTHERS.format(path))
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
            (self.sources[row] for row in rows),
            (self.names[row] for row in rows),
        )

    def fingerprint(self):
        """Changes with any frame added, removed or renamed."""
        digest = hashlib.sha256()
        for strings in (self.sources, self.names):
            digest.update(strings.offsets.tobytes())
            digest.update(strings.bytes.tobytes())
        return digest.hexdigest()
