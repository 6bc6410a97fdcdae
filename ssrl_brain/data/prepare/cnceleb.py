"""CN-Celeb 1 and 2: ``id<digits>/<genre>-<session>-<utterance>.flac``.

Only the last two parts of a path count, so that ``data/`` of both, below one
common folder, can be prepared as they are. A session is a genre with its
number: the same speaker in a song and in an interview are two.
"""

import re

from ssrl_brain.data.prepare.grammar import entries_of, last_parts

GRAMMAR = re.compile(r"(?:.*/)?((id\d+)/([A-Za-z_]+-\d+)-\d+)", re.IGNORECASE)
MISMATCH = "path is not id<digits>/<genre>-<session>-<utterance> and a suffix"


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
    >>> entries(["data/id00010/live_broadcast-02-003.flac", "x.wav"])[0][1:]
    ('id00010/live_broadcast-02-003', 'id00010/live_broadcast-02', 'id00010')
    """
    return entries_of(paths, GRAMMAR)


def utterance_id(name):
    """ID for a path of a trial list, with or without extension.

    Example
    -------
    >>> utterance_id("data/id00010/singing-01-002.flac")
    'id00010/singing-01-002'
    """
    return last_parts(name, 2)
