"""What the preparation of any corpus shares: its entries, work in parallel,
and the summary that tells whether a prepared folder is still right.
"""

import contextlib
import csv
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import sys
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tqdm import tqdm

from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.system.locks import reading
from ssrl_brain.system.ours import MARKER, mark

SUMMARY = "prepared.json"  # written last: its presence says "finished"


class Entry(NamedTuple):
    """One utterance of a corpus, as its path tells; speaker may be None."""

    path: str
    id: str
    session: str
    speaker: str | None


def default_num_workers():
    """Number of processors this process may use, 16 at most."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return min(16, len(os.sched_getaffinity(0)))
    return min(16, os.cpu_count() or 1)


def parallel_map(function, items, num_workers=None, description="", chunk=64):
    """Yields ``function(item)`` in order, computed by several processes.

    Only a few chunks are under way at any time, so results that are consumed
    slowly do not pile up in memory.

    Arguments
    ---------
    function : callable
        A module-level function or a partial of one.
    items : list
        Its arguments.
    num_workers : int, optional
        Number of processes; 1 works in this one; default: all processors.
    description : str
        Text before the progress bar.
    chunk : int
        Number of items handed to a process at once.

    Yields
    ------
    object
        One result per item.
    """
    num_workers = num_workers or default_num_workers()
    chunks = [items[i : i + chunk] for i in range(0, len(items), chunk)]
    with tqdm(
        total=len(items), desc=description, disable=None, leave=False
    ) as bar:
        if num_workers == 1 or len(chunks) < 2:
            for item in items:
                yield function(item)
                bar.update()
            return
        # Forked workers start at once; elsewhere than on Linux it is unsafe.
        context = multiprocessing.get_context(
            "fork" if sys.platform == "linux" else None
        )
        with ProcessPoolExecutor(
            num_workers, context, initializer=exit_with_parent
        ) as pool:
            pending = deque()
            try:
                for part in chunks:
                    pending.append(pool.submit(apply_to_all, function, part))
                    if len(pending) < 4 * num_workers:
                        continue
                    results = pending.popleft().result()
                    yield from results
                    bar.update(len(results))
                while pending:
                    results = pending.popleft().result()
                    yield from results
                    bar.update(len(results))
            finally:
                for future in pending:
                    future.cancel()


def exit_with_parent():
    """Ends a worker whose parent is killed; it would wait for ever."""
    sentinel = multiprocessing.parent_process().sentinel

    def watch():
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def apply_to_all(function, items):
    """A list of results; module-level, so that processes can import it."""
    return [function(item) for item in items]


def write_table(path, header, rows):
    """Writes a CSV file with a header."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def files_below(folder):
    """Size of every file below a folder, by relative path."""
    folder = pathlib.Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() and path.name != MARKER  # written last
    }


def write_summary(folder, made_from, counts):
    """Finishes a prepared folder: writes ``prepared.json``.

    Arguments
    ---------
    folder : pathlib.Path
        The folder, all other files in place.
    made_from : dict
        Options and fingerprints that decided about its contents.
    counts : dict
        What was found.
    """
    files = files_below(folder)
    summary = {"made_from": made_from, "counts": counts, "files": files}
    write_json(folder / SUMMARY, summary)


def read_summary(folder):
    """``prepared.json`` of a prepared folder; {} if there is none."""
    path = pathlib.Path(folder) / SUMMARY
    if not path.is_file():
        return {}
    try:
        return read_json(path)
    except ValueError:  # with a summary gone, all else would be foreign
        raise ValueError(
            f"{path} is damaged: remove the folder {folder}"
        ) from None


def is_current(folder, made_from):
    """Whether a folder was made from exactly this and is still complete.

    Arguments
    ---------
    folder : str or pathlib.Path
        A prepared folder, or where one would be.
    made_from : dict
        Options and fingerprints that decide about its contents.
    """
    summary = read_summary(folder)
    if summary.get("made_from") != made_from:
        return False
    present = files_below(folder)
    return all(present.get(k) == v for k, v in summary["files"].items())


def keep_current(folder, made_from, hold):
    """Whether a folder is current; from then on nobody may replace it.

    Arguments
    ---------
    folder, made_from
        See ``is_current``.
    hold : contextlib.ExitStack or None
        Holds the lock for as long as the folder is used; None: no lock.
    """
    if not is_current(folder, made_from):
        return False
    if hold is None:
        return True
    marker = pathlib.Path(folder, MARKER)
    if not marker.is_file():  # made by an earlier version
        with contextlib.suppress(OSError):
            mark(folder, "prepared", {SUMMARY, *read_summary(folder)["files"]})
    with contextlib.ExitStack() as lock:
        with contextlib.suppress(FileNotFoundError):
            lock.enter_context(reading(marker))
        if not is_current(folder, made_from):  # replaced meanwhile
            return False
        hold.enter_context(lock.pop_all())
    return True
