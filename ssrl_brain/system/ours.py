"""Which folders are ours: by a marker, or by the files of earlier versions.

What a marker does not list was put there by somebody else.
"""

import os
from pathlib import Path
from typing import NamedTuple

from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.system.locks import IN_USE

MARKER = ".ssrl_brain.json"
LOGS = (".log", ".out", ".err")  # of shells and queues
LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}  # of those who only look


class Kind(NamedTuple):
    """What a folder holds, and how those without a marker are recognised.

    ``needed`` entries must all be there, and none but these and the
    ``possible`` ones; None: any others. Those of a ``container`` are folders
    of ours themselves.
    """

    words: str
    needed: frozenset = frozenset()
    possible: frozenset | None = frozenset()
    container: bool = False


def _kind(words, needed="", possible="", container=False):
    possible = None if possible is None else frozenset(possible.split())
    return Kind(words, frozenset(needed.split()), possible, container)


KINDS = {
    # replaced as a whole
    "encoder": _kind(
        "an encoder",
        "hyperparams.yaml embedding_model.ckpt metrics.json README.md",
    ),
    "visual_encoder": _kind(
        "an encoder of faces",
        "hyperparams.yaml embedding_model.ckpt metrics.json README.md",
    ),
    "labels": _kind(
        "pseudo labels",
        "source.json pseudo_labels.csv centroids.npy",
        "embeddings.npy",
    ),
    "prepared": _kind("prepared data", "prepared.json", None),
    "embeddings": _kind("embeddings", "embeddings.npy key.json"),
    "scores": _kind("scores"),
    # written into
    "corpus": _kind(
        "a synthetic corpus",
        "README.txt speakers.tsv voxceleb musan RIRS_NOISES",
        "voxceleb_frames",
    ),
    "run": _kind("a training run", "hyperparams.yaml conditions.json", None),
    "checkpoints": _kind("checkpoints", "", ".partial", container=True),
    "verification": _kind("a verification", "", "metrics.json", container=True),
    "cache": _kind("kept embeddings", container=True),
    "chain": _kind(
        "a chain",
        "",
        "metrics.json report.html outcome.json clusters.csv",
        container=True,
    ),
}
REPLACED = (
    "encoder",
    "visual_encoder",
    "labels",
    "prepared",
    "embeddings",
    "scores",
)


def kind_of(folder):
    """Kind of a folder of ours by its marker, None without one."""
    marker = _read_marker(Path(folder))
    return marker and marker["kind"]


def _read_marker(folder):
    path = folder / MARKER
    if not path.is_file():
        return None
    try:
        found = read_json(path)
        kind, files = found["kind"], found["files"]
        if isinstance(kind, str) and isinstance(files, (list, type(None))):
            return found
    except (ValueError, TypeError, KeyError):
        pass  # told below
    raise ValueError(f"{path} is damaged: remove the folder, or give another")


def mark(folder, kind, files=()):
    """Writes the marker of a folder.

    Arguments
    ---------
    folder : str or Path
    kind : str
        One of ``KINDS``.
    files : iterable of str or None
        Those that are ours; None for all of a folder that is being written.
    """
    files = None if files is None else sorted(files)
    write_json(Path(folder) / MARKER, {"kind": kind, "files": files})


def claim(folder, kind):
    """Makes a folder to write into; whether it may be is checked before."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    if kind_of(folder) is None:
        mark(folder, kind)


def unclaim(folder):
    """Takes a folder away into which nothing was written."""
    folder = Path(folder)
    if not folder.is_dir():
        return
    if {path.name for path in folder.iterdir()} <= {MARKER, IN_USE}:
        for name in (MARKER, IN_USE):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def entries_below(folder):
    """Files, links and empty folders below a folder, as relative paths.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "a").mkdir(), (folder / "b").mkdir()
    (None, None)
    >>> _ = (folder / "b" / "c.txt").write_text("c")
    >>> sorted(entries_below(folder))
    ['a', 'b/c.txt']
    """
    found = []
    for root, folders, files in os.walk(folder, onerror=_raise):
        root = Path(root)
        links = [name for name in folders if (root / name).is_symlink()]
        found += [root / name for name in files + links]
        if not folders and not files and root != Path(folder):
            found.append(root)
    return {path.relative_to(folder).as_posix() for path in found}


def _raise(error):
    raise error


def known_files(folder, kind):
    """Files of ours in a folder of this kind that has no marker, else None."""
    about, names = KINDS[kind], {path.name for path in folder.iterdir()}
    names = {x for x in names if not _is_bookkeeping(folder / x)}
    if kind == "scores":
        return names if all(_is_scores(folder / x) for x in names) else None
    if about.container:
        others = names - about.possible
        ours = others and all(_is_ours(folder / x) for x in others)
        return names if ours else None
    if not about.needed <= names:
        return None
    if kind == "prepared":
        try:
            summary = read_json(folder / "prepared.json")
            return {"prepared.json", *summary["files"]}
        except (ValueError, TypeError, KeyError):
            return None
    return names if about.possible is None else about.needed | about.possible


def _is_bookkeeping(path):
    """A lock of ours, or what other programs leave in any folder."""
    if path.name in LITTER | {MARKER, IN_USE}:
        return True
    return path.name.endswith(".lock") and path.lstat().st_size == 0


def _is_ours(path):
    """Whether an entry of a container is a folder of ours."""
    if path.is_symlink() or not path.is_dir():
        return False
    if path.name.startswith("CKPT+") and (path / "CKPT.yaml").is_file():
        return True
    return kind_of(path) is not None or any(
        any(path.iterdir()) and known_files(path, kind) for kind in KINDS
    )


def _is_scores(path):
    """Whether a file has lines "score label enrolment test"."""
    if path.suffix != ".txt" or not path.is_file():
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        fields = file.readline(1000).split()
    return (
        len(fields) == 4
        and fields[1] in ("0", "1")
        and fields[0].lstrip("-").replace(".", "", 1).isdecimal()
    )


def foreign(folder, kind, thorough=True):
    """Why a folder must be left alone, None if it may be written.

    Arguments
    ---------
    folder : str or Path
    kind : str
        What it should be, one of ``KINDS``.
    thorough : bool
        Whether to look for files that were added to a folder of ours which
        would be replaced as a whole.

    Returns
    -------
    str or None
        The end of a sentence about the folder.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> foreign(folder, "labels")
    >>> _ = (folder / "song.wav").write_text("la")
    >>> foreign(folder, "labels")
    'holds song.wav, which ssrl_brain did not write'
    >>> mark(folder, "labels", ["song.wav"])
    >>> foreign(folder, "labels")
    >>> foreign(folder, "encoder")
    'is the folder of pseudo labels, not of an encoder'
    """
    folder = Path(folder)
    if not folder.exists():
        return None
    if not folder.is_dir():
        return "is a file, not a folder"
    marker = _read_marker(folder)
    if marker is None:
        names = (path.name for path in folder.iterdir())
        if kind not in REPLACED:  # only added to, and its output redirected
            names = (name for name in names if not name.endswith(LOGS))
        first = min(names, default=None)
        if first is None:
            return None
        own = known_files(folder, kind)
        if own is None:
            return _holds(first)
    elif marker["kind"] != kind:
        words = KINDS[marker["kind"]].words if marker["kind"] in KINDS else "?"
        return f"is the folder of {words}, not of {KINDS[kind].words}"
    elif marker["files"] is None:
        return None
    else:
        own = set(marker["files"])
    if kind not in REPLACED or not thorough:
        return None
    others = entries_below(folder) - own - {MARKER}
    others = sorted(x for x in others if x.split("/")[-1] not in LITTER)
    return _holds(others[0]) if others else None


def _holds(name):
    name = name.encode("unicode_escape", "backslashreplace").decode("ascii")
    return f"holds {name}, which ssrl_brain did not write"
