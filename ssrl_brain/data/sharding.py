"""Packing a tree of audio into tar shards, the layout of WebDataset."""

import hashlib
import os
from pathlib import Path

from ssrl_brain.data.audio_files import list_audio, no_audio, printable
from ssrl_brain.data.conversion import (
    begin_folder,
    refuse_nested,
    write_failed,
)
from ssrl_brain.data.packing import (
    END,
    Source,
    header,
    padding,
    write_shard,
)
from ssrl_brain.data.preparation import parallel_map
from ssrl_brain.data.shards import size_and_time
from ssrl_brain.system.files import write_json, write_text
from ssrl_brain.system.locks import locked

RECORD = "sharded.json"  # written first: a folder with it is ours
CORPUS = "corpus.json"  # what a corpus says of itself


def shard_tree(
    data_folder, output_folder, shard_megabytes=1000, num_workers=None
):
    """Packs all audio below a folder, as it is, into tars in another one.

    Members are named by their paths, in the order of these, and have no time
    and no owner, so that the same audio gives the same bytes. Tars appear whole
    or not at all; those of an earlier run are left alone.

    Arguments
    ---------
    data_folder : str
        Folder of audio; it is only read.
    output_folder : str
        A new folder, or one of an earlier run of the same audio and size.
    shard_megabytes : float
        Size that no tar exceeds, unless a single file does.
    num_workers : int, optional
        Number of processes, each of which writes a tar; default: all
        processors.

    Returns
    -------
    dict
        Number of ``shards``, and of files ``packed``, ``done before`` and
        ``failed``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder of audio.
    ValueError
        If an option is wrong, the output folder is another's or of other
        audio, or nothing could be packed.
    OSError
        If a tar cannot be written.
    """
    if not shard_megabytes > 0:
        raise ValueError(
            f"--shard_megabytes={shard_megabytes:g} must be above 0: give 1000 "
            "or the like"
        )
    if num_workers is not None and num_workers < 1:
        raise ValueError(f"--num_workers={num_workers} must be at least 1")
    sources, failed = find_sources(data_folder)
    refuse_nested(data_folder, output_folder)
    if not sources:
        raise ValueError(nothing_to_pack(data_folder, failed))
    plan = plan_shards(sources, shard_megabytes * 10**6)
    with locked(output_folder):
        record = begin(output_folder, data_folder, shard_megabytes, sources)
        shards = record["shards"]
        jobs = [
            (os.path.join(output_folder, name), parts)
            for name, parts in plan.items()
            if not is_done(output_folder, name, shards)
        ]
        num_packed = 0
        results = parallel_map(write_shard, jobs, num_workers, "Packing", 1)
        for (path, parts), (size, lost) in zip(jobs, results, strict=True):
            num_packed += len(parts) - len(lost)
            shards[os.path.basename(path)] = {"size": size, "failed": lost}
            write_json(Path(output_folder, RECORD), record)
        copy_corpus(data_folder, output_folder)
        lost = [tuple(x) for found in shards.values() for x in found["failed"]]
        write_failed(Path(output_folder), failed + lost)
    if len(lost) == len(sources):
        raise ValueError(nothing_to_pack(data_folder, failed + lost))
    return {
        "shards": len(plan),
        "packed": num_packed,
        "done before": len(sources) - len(lost) - num_packed,
        "failed": len(failed) + len(lost),
    }


def find_sources(data_folder):
    """What is to be packed, in order, and (path, reason) of what is not.

    Whether the audio is any good is for preparation to find; a format that
    cannot be read here may be elsewhere.
    """
    listing = list_audio(data_folder)
    sources, failed = [], list(listing.excluded)
    for path in sorted([*listing.files, *listing.unreadable]):
        place = os.path.join(data_folder, listing.place(path))
        status = listing.files.get(path) or size_and_time(place)
        sources.append(Source(path, place, *status))
    return sources, failed


def nothing_to_pack(data_folder, failed):
    """Message for a folder without a single file."""
    if not failed:
        return no_audio(data_folder)
    path, reason = failed[0]
    return (
        f"none of {len(failed):,} files in {data_folder} can be packed, the "
        f"first {printable(path)}: {reason}"
    )


def plan_shards(sources, max_bytes):
    """Which files go into which tar, a function of paths and sizes alone.

    Example
    -------
    >>> sources = [Source(f"{n}.wav", "", 512, 0) for n in range(3)]
    >>> plan = plan_shards(sources, 3100)  # 512 of a header, 1024 of the end
    >>> [(name, len(parts)) for name, parts in plan.items()]
    [('shard-000000.tar', 2), ('shard-000001.tar', 1)]
    """
    plan, filled = [], max_bytes
    for source in sources:
        size = len(header(source)) + source.size + padding(source.size)
        if filled + size + len(END) > max_bytes:
            plan.append([])
            filled = 0
        plan[-1].append(source)
        filled += size
    return {f"shard-{n:06d}.tar": parts for n, parts in enumerate(plan)}


def begin(output_folder, data_folder, shard_megabytes, sources):
    """The record of an output folder that is ours, or is made so."""
    path = Path(output_folder, RECORD)
    now = {
        "data_folder": os.path.realpath(data_folder),
        "shard_megabytes": float(shard_megabytes),
    }
    record = begin_folder(output_folder, path.name, now, "packing")
    digest = hashlib.sha256()
    for path_, _, size, changed in sources:
        digest.update(f"{path_}\t{size}\t{changed}\n".encode())
    digest = digest.hexdigest()
    if record.setdefault("data", digest) != digest:
        raise ValueError(
            f"files were added to {data_folder}, removed or changed since "
            f"{output_folder} was begun, so that others of its tars would hold "
            "them: choose a new folder"
        )
    record.setdefault("shards", {})
    write_json(path, record)
    return record


def is_done(output_folder, name, shards):
    """Whether a tar is there as it was written, with all of its files."""
    try:
        size = os.path.getsize(os.path.join(output_folder, name))
    except FileNotFoundError:
        return False
    return shards.get(name) == {"size": size, "failed": []}


def copy_corpus(data_folder, output_folder):
    """What a corpus says of itself goes along with its audio."""
    path = Path(data_folder, CORPUS)
    if path.is_file():
        write_text(Path(output_folder, CORPUS), path.read_text("utf-8"))
