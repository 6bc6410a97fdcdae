"""Any folder of audio: each file is its own session, speakers are unknown."""

from collections import Counter

from ssrl_brain.data.audio_files import split_suffix
from ssrl_brain.data.preparation import Entry

MISMATCH = "not an audio file"  # never: every audio file belongs


def entries(paths):
    """Makes an utterance of every path.

    Its ID is the path without extension, unless two files would share it.

    Arguments
    ---------
    paths : iterable of str
        Audio files, relative to any folder.

    Returns
    -------
    list of Entry

    Example
    -------
    >>> [entry.id for entry in entries(["a/x.wav", "a/y.mp3", "a/y.wav"])]
    ['a/x', 'a/y.mp3', 'a/y.wav']
    """
    paths = list(paths)
    names = set(paths)
    stems = Counter(utterance_id(path) for path in paths)
    found = []
    for path in paths:
        stem = utterance_id(path)
        id = path if stems[stem] > 1 or stem in names else stem
        found.append(Entry(path, id, path, None))
    return found


def utterance_id(name):
    """ID for a path of a trial list, with or without extension.

    Example
    -------
    >>> utterance_id("calls/0001.flac")
    'calls/0001'
    """
    return split_suffix(name)[0]
