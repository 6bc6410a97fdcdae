"""Walking a user's folder, of which nothing is opened."""

import os


def walk(folder, refused):
    """Yields what folders hold, at and below one, in an order of names.

    Hidden folders are passed over; links are followed, each folder is visited
    once.

    Arguments
    ---------
    folder : str or pathlib.Path
    refused : callable
        (prefix, OSError) for a folder below that cannot be listed.

    Yields
    ------
    (str, list of os.DirEntry)
        Path of a folder, relative to ``folder``, with a ``/`` at its end; what
        it holds apart from folders and hidden files, links to nothing too.

    Raises
    ------
    OSError
        If the folder itself cannot be listed.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a").mkdir()
    >>> (folder / "a/1.wav").touch()
    >>> [(prefix, [x.name for x in found]) for prefix, found in walk(folder, 0)]
    [('', []), ('a/', ['1.wav'])]
    """
    seen, to_visit = set(), [("", os.fspath(folder))]
    while to_visit:
        prefix, current = to_visit.pop()
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:  # a link to a known folder
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(current) as items:
                items = sorted(items, key=lambda item: item.name)
        except OSError as error:  # a folder that others keep to themselves
            if not prefix:
                raise
            refused(prefix, error)
            continue
        items = [item for item in items if not item.name.startswith(".")]
        files = []
        for item in reversed(items):
            if is_folder(item):
                to_visit.append((f"{prefix}{item.name}/", item.path))
            else:
                files.append(item)
        yield prefix, files[::-1]


def is_folder(item):
    """Whether an ``os.DirEntry`` is a folder or a link to one."""
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def leads_out(path):
    """Whether a relative path leaves the folder it is meant to be in.

    Example
    -------
    >>> [leads_out(path) for path in ("a/..b.wav", "/a", "a/../../b")]
    [False, True, True]
    """
    return path.startswith("/") or ".." in path.split("/")
