"""Frames of faces below a folder: which there are, and of which utterance.

``<utterance>/*.jpg`` or ``<utterance>.mp4``, below a folder of their own, with
the paths that the audio has. Nothing here writes to that folder.
"""

import hashlib
import os
import re

from speechbrain.utils.logger import get_logger

from ssrl_brain.data.audio_files import is_writable_name, printable
from ssrl_brain.data.tree import walk

logger = get_logger(__name__)

IMAGE_SUFFIXES = frozenset(".jpg .jpeg .png .bmp .webp".split())
VIDEO_SUFFIXES = frozenset(".mp4 .m4v .mov .avi .mkv .webm".split())


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
    found, told = {}, []
    for prefix, items in walk(folder, lambda *refused: told.append(refused)):
        names = [x.name for x in items if is_writable_name(prefix + x.name)]
        images = [x for x in names if suffix_of(x) in IMAGE_SUFFIXES]
        videos = [x for x in names if suffix_of(x) in VIDEO_SUFFIXES]
        found |= {prefix + name: "" for name in videos}
        if images and prefix:
            found[prefix[:-1]] = "/".join(sorted(images, key=natural))
    if told:
        logger.warning(
            "%d folders below frames_folder %s cannot be read, the first %s: %s",
            len(told),
            folder,
            printable(told[0][0]),
            told[0][1].strerror,
        )
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
