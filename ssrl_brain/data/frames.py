"""Frames of faces: which there are of an utterance, and reading them.

``<utterance>/*.jpg`` or ``<utterance>.mp4``, below a folder of their own, with
the paths that the audio has. Nothing here writes to that folder.
"""

import csv
import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssrl_brain.data.audio_files import is_writable_name
from ssrl_brain.data.utterances import Strings, leads_out

IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp .webp".split())
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .avi .mkv .webm".split())
COLUMNS = ["ID", "source", "frames"]
REMEDY = "put it back, or prepare again and use a new --output_folder"


class FrameCheck(NamedTuple):
    """Names of the frames of a source that can be read, and what cannot."""

    names: list
    broken: list  # (path, reason)


def suffix_of(path):
    """Extension in lower case.

    Example
    -------
    >>> suffix_of("id1/a.b/00001.MP4")
    '.mp4'
    """
    return os.path.splitext(path)[1].lower()


def list_frames(folder):
    """Lists folders with images, and videos; no file is opened or measured.

    Hidden files are ignored; links are followed, each folder is visited once.

    Arguments
    ---------
    folder : str

    Returns
    -------
    dict
        Path of a folder, relative to ``folder`` -> names of its images, joined
        by "/"; path of a video -> "". In an order that never varies.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"frames_folder {folder} does not exist: give "
            "--frames_folder=/path/to/folders/of/images"
        )
    found, seen, to_visit = {}, set(), [("", os.fspath(folder))]
    while to_visit:
        prefix, current = to_visit.pop()
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:  # a link to a known folder
            continue
        seen.add((status.st_dev, status.st_ino))
        images = []
        with os.scandir(current) as items:
            for item in items:
                name = item.name
                if name.startswith(".") or not is_writable_name(name):
                    continue
                suffix = suffix_of(name)
                if suffix in IMAGE_SUFFIXES:
                    images.append(name)
                elif suffix in VIDEO_SUFFIXES:
                    found[prefix + name] = ""
                elif item.is_dir():
                    to_visit.append((f"{prefix}{name}/", item.path))
        if images and prefix:
            found[prefix[:-1]] = "/".join(sorted(images, key=natural))
    return {path: found[path] for path in sorted(found)}


def natural(name):
    """Sorts numbers by their value: "2.jpg" before "10.jpg".

    Example
    -------
    >>> sorted(["10.jpg", "2.jpg", "a.jpg"], key=natural)
    ['2.jpg', '10.jpg', 'a.jpg']
    """
    parts = re.split(r"(\d+)", name)
    parts[1::2] = [part.zfill(20) for part in parts[1::2]]
    return parts, name


def fingerprint(listing):
    """Digest of the names; another one means other frames."""
    digest = hashlib.sha256()
    for path, names in listing.items():
        digest.update(f"{path}\t{names}\n".encode())
    return digest.hexdigest()


def frames_of(listing, layout, entries):
    """Which source belongs to which utterance.

    Arguments
    ---------
    listing : dict
        See ``list_frames``.
    layout : module
        Of the corpus; it tells the ID that a path stands for.
    entries : list of Entry

    Returns
    -------
    dict
        Entry -> (source, names). Of several sources, folders of images come
        before videos, then the first by name.
    """
    by_id = {}
    for path in sorted(
        listing, key=lambda x: (suffix_of(x) in VIDEO_SUFFIXES, x)
    ):
        stem = path
        if suffix_of(path) in VIDEO_SUFFIXES:
            stem = os.path.splitext(path)[0]
        for id in (layout.utterance_id(stem), stem):
            by_id.setdefault(id, (path, listing[path]))
    return {entry: by_id[entry.id] for entry in entries if entry.id in by_id}


def check_source(source, folder):
    """Opens every frame of a source once.

    Arguments
    ---------
    source : tuple
        (path, names) as ``frames_of`` has them.
    folder : str

    Returns
    -------
    FrameCheck
    """
    path, names = source
    if suffix_of(path) in VIDEO_SUFFIXES and not names:
        _pyav(path)  # that it is missing is no fault of the video
        try:
            number = count_seconds(f"{folder}/{path}")
            read_frame(folder, path, str(number - 1))
        except Exception as error:  # bytes that are no video raise anything
            return FrameCheck([], [(path, f"unreadable video: {short(error)}")])
        return FrameCheck([str(second) for second in range(number)], [])
    good, broken = [], []
    for name in names.split("/"):
        try:
            read_frame(folder, path, name)
            good.append(name)
        except Exception as error:  # bytes that are no image raise anything
            broken.append(
                (f"{path}/{name}", f"unreadable frame: {short(error)}")
            )
    return FrameCheck(good, broken)


def short(error):
    """What went wrong, without the path, in one line."""
    text = re.sub(r"['\"]?/\S+", "", " ".join(str(error).split()))
    return text[:80].strip() or type(error).__name__


def read_frame(folder, source, name):
    """A frame as an image of three channels.

    Arguments
    ---------
    folder, source : str
    name : str
        Of an image, or the second of a video.

    Returns
    -------
    PIL.Image.Image
    """
    if suffix_of(source) in VIDEO_SUFFIXES and name.isdigit():
        return _video_frame(f"{folder}/{source}", int(name))
    with Image.open(f"{folder}/{source}/{name}") as image:
        return image.convert("RGB")


def _pyav(path):
    """The library that reads videos; an optional one."""
    try:
        import av
    except ImportError:
        raise ValueError(
            f"{path} is a video, which needs PyAV: "
            "`pip install 'ssrl_brain[video]'`, or extract its frames"
        ) from None
    return av


def count_seconds(path):
    """Frames that a video has at one a second, the first at its beginning."""
    with _pyav(path).open(path) as video:
        if not video.streams.video:
            raise ValueError("it has no picture")
        stream = video.streams.video[0]
        if stream.duration:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (video.duration or 0) / 1e6
    return max(1, int(np.ceil(seconds - 1e-3)))


def _video_frame(path, second):
    """First picture at or after a second; the last one where there is none."""
    with _pyav(path).open(path) as video:
        stream = video.streams.video[0]
        start = stream.start_time or 0
        wanted = start * stream.time_base + second
        video.seek(int(wanted / stream.time_base), stream=stream)
        frame = None
        for frame in video.decode(stream):
            if frame.time is None or frame.time >= wanted - 1e-3:
                break
        if frame is None:
            raise ValueError("it has no picture")
        return frame.to_image()


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
