"""What layouts share whose paths name speaker, session and utterance."""

from sys import intern

from ssrl_brain.data.audio_files import split_suffix
from ssrl_brain.data.preparation import Entry


def entries_of(paths, grammar):
    """Reads speaker and session off the paths that have the grammar.

    Arguments
    ---------
    paths : iterable of str
        Audio files, relative to any folder.
    grammar : re.Pattern
        Of a whole path without extension; its groups are the utterance's ID,
        the speaker, and the session of this speaker.

    Returns
    -------
    list of Entry

    Example
    -------
    >>> import re
    >>> entries_of(["data/a/b-1.wav", "c.wav"], re.compile(r".*/((.)/(.)-.)"))
    [Entry(path='data/a/b-1.wav', id='a/b-1', session='a/b', speaker='a')]
    """
    found = []
    for path in paths:
        match = grammar.fullmatch(split_suffix(path)[0])
        if match:
            id, speaker, session = match.groups()
            # Many utterances share these: millions of copies are gigabytes.
            session, speaker = intern(f"{speaker}/{session}"), intern(speaker)
            found.append(Entry(path, id, session, speaker))
    return found


def last_parts(path, number):
    """The last parts of a path, without extension.

    Example
    -------
    >>> last_parts("wav/id10270/x6uYqmx31kE/00001.wav", 2)
    'x6uYqmx31kE/00001'
    """
    return "/".join(split_suffix(path)[0].split("/")[-number:])
