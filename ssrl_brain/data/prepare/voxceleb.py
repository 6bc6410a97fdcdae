"""VoxCeleb1 and VoxCeleb2: ``id<digits>/<session>/<utterance>.wav``.

Only the last three parts of a path count, so that VoxCeleb1 (``wav/``),
VoxCeleb2 (``dev/aac/``, m4a or converted) and any common parent of both can
be prepared as they are.
"""

import re

from ssrl_brain.data.prepare.grammar import entries_of, last_parts

GRAMMAR = re.compile(r"(?:.*/)?((id\d+)/([^/]+)/[^/]+)", re.IGNORECASE)
MISMATCH = "path is not id<digits>/<session>/<utterance> and a suffix"


def entries(paths):
    """Reads speaker and session off the paths that have the grammar.

    Arguments
    ---------
    paths : iterable of str
        Audio files, relative to any folder.

    Returns
    -------
    list of Entry

    Example
    -------
    >>> entries(["dev/aac/id00012/21Uxsk56VDQ/00001.wav", "readme.wav"])[0][1:]
    ('id00012/21Uxsk56VDQ/00001', 'id00012/21Uxsk56VDQ', 'id00012')
    """
    return entries_of(paths, GRAMMAR)


def utterance_id(name):
    """ID for a path of a trial list, with or without extension.

    Example
    -------
    >>> utterance_id("wav/id10270/x6uYqmx31kE/00001.wav")
    'id10270/x6uYqmx31kE/00001'
    """
    return last_parts(name, 3)
