#!/usr/bin/env python3
"""Memory of the host that tables and embeddings of many utterances take.

    OMP_NUM_THREADS=1 python benchmarks/host_memory.py --tables=1M

Memory and time of reading the tables of so many utterances, each in a process
of its own. Names are as long as VoxCeleb's.

    OMP_NUM_THREADS=1 python benchmarks/host_memory.py --preparation=1M

What the preparation of so many files takes, from their listing to the tables:
their audio is not looked at. `listing` is the list of their names.

    OMP_NUM_THREADS=1 python benchmarks/host_memory.py --embeddings=300k

What a rank that clusters takes, from random embeddings to the label folder:
held in memory, and in a file as pseudo_label.py does. Pages of a file can be
given back to the system and are counted apart. Few clusters, for the time.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from common import number_of, peak_bytes, report, resident_bytes

from ssrl_brain.clustering.kmeans import Clusters, kmeans
from ssrl_brain.data.audio_check import AudioCheck
from ssrl_brain.data.audio_files import Listing
from ssrl_brain.data.preparation import write_table
from ssrl_brain.data.prepare import voxceleb
from ssrl_brain.data.prepare.corpus import write_corpus
from ssrl_brain.data.utterances import COLUMNS, Utterances
from ssrl_brain.evaluation.rows import Rows, ScratchArrays
from ssrl_brain.evaluation.speakers import read_speakers
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)


def names_of(rows):
    """IDs as long as VoxCeleb's."""
    return [
        f"id{i // 200:07d}/{i // 9 * 2654435761 % 2**44:011x}/{i % 9:05d}"
        for i in range(rows)
    ]


def write_tables(folder, rows):
    """Tables of a prepared folder and of a label folder."""
    names = names_of(rows)
    write_table(
        folder / "train.csv",
        COLUMNS,
        (
            (name, f"{name}.wav", 8.0, 128000 + i % 999, 16000, i // 9)
            for i, name in enumerate(names)
        ),
    )
    write_table(
        folder / "speakers.csv",
        ["ID", "speaker"],
        ((name, name.partition("/")[0]) for name in names),
    )
    table = Utterances.from_csv(folder / "train.csv")
    numbers = np.arange(rows)
    clusters = Clusters(numbers % 8000, np.zeros((8000, 2)), numbers / rows)
    write_pseudo_labels(folder / "labels", table, clusters)


def read_train_csv(folder):
    """A function that reads it."""
    return lambda: Utterances.from_csv(folder / "train.csv")


def read_label_folder(folder):
    """The same, with the table there already."""
    table = Utterances.from_csv(folder / "train.csv")
    return lambda: read_pseudo_labels(folder / "labels", table)


def read_speakers_csv(folder):
    """The same, with the table there already."""
    table = Utterances.from_csv(folder / "train.csv")
    return lambda: read_speakers(folder / "speakers.csv", table.ids)


def report_reading(prepare, folder, rows):
    """Memory and time of one of these functions, in this process."""
    read = prepare(folder)
    before = resident_bytes()
    started = time.process_time()
    kept = read()
    seconds = time.process_time() - started
    report(
        prepare.__name__,
        rows=rows,
        kept_mb_per_million=round((resident_bytes() - before) / rows),
        peak_mb_per_million=round((peak_bytes() - before) / rows),
        cpu_seconds=round(seconds, 2),
    )
    del kept


def report_preparation(folder, rows):
    """Memory and time of writing the tables of a listing, in this process."""
    before = resident_bytes()
    # a number of bytes and a time of each file, all different
    files = {f"{x}.wav": (10**6 + i, i) for i, x in enumerate(names_of(rows))}
    listing = Listing(files, [], [], {}, {})
    kept = resident_bytes() - before
    (folder / "trials.txt").write_text(f"1 {min(files)} {max(files)}\n")
    started = time.process_time()
    write_corpus(
        folder,
        "unused",
        listing,
        voxceleb,
        {"trials": folder / "trials.txt"},
        lambda entries: {
            x: AudioCheck(128000 + i % 999, 16000, "")
            for i, x in enumerate(entries)
        },
    )
    report(
        "preparation",
        rows=rows,
        listing_mb_per_million=round(kept / rows),
        peak_mb_per_million=round((peak_bytes() - before) / rows),
        cpu_seconds=round(time.process_time() - started, 2),
    )


def anonymous_bytes():
    """Memory of this process that is no file's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


class Peak(threading.Thread):
    """The most of it, looked at every 10 ms."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.bytes = anonymous_bytes()
        self.over = False

    def run(self):
        """Until ``over``."""
        while not self.over:
            self.bytes = max(self.bytes, anonymous_bytes())
            time.sleep(0.01)

    def stop(self):
        """Bytes above those at the start."""
        self.over = True
        self.join()
        return self.bytes - self.before


def report_clustering(folder, rows, dim, clusters, where):
    """Memory and time of one clustering, in this process."""
    numbers = np.arange(rows)
    names = (f"{i:08d}" for i in range(rows))
    table = Utterances(names, [], numbers, numbers, numbers)
    generator = torch.Generator().manual_seed(0)
    kmeans(np.eye(9), 2, num_iters=1)  # loads what faiss needs
    before = resident_bytes()
    peak = Peak()
    peak.start()
    started = time.process_time()
    made = Rows(rows, rows, ScratchArrays(folder) if where == "file" else None)
    for part in np.array_split(numbers, rows // 512 + 1):
        made.put(part, torch.randn(len(part), dim, generator=generator))
    embeddings = made.of_all_ranks("cpu")
    found = kmeans(embeddings.numpy(), clusters, num_iters=3)
    write_pseudo_labels(folder / "labels", table, found, embeddings=embeddings)
    report(
        "clustering",
        rows=rows,
        dim=dim,
        clusters=clusters,
        held_in=where,
        array_mb=round(4 * rows * dim / 1e6),
        peak_mb_without_files=round(peak.stop() / 1e6),
        peak_mb=round((peak_bytes() - before) / 1e6),
        cpu_seconds=round(time.process_time() - started, 1),
    )


def apart(function, *arguments):
    """Calls a function in a process of its own, for its peak."""
    process = multiprocessing.get_context("spawn").Process(
        target=function, args=arguments
    )
    process.start()
    process.join()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", help="of e.g. 1M rows")
    parser.add_argument("--preparation", help="of e.g. 1M files")
    parser.add_argument("--embeddings", help="of e.g. 300k rows")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=64)
    parser.add_argument("--folder", help="on the disk to be used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        if options.tables:
            rows = number_of(options.tables)
            write_tables(folder, rows)
            for read in (read_train_csv, read_label_folder, read_speakers_csv):
                apart(report_reading, read, folder, rows)
        if options.preparation:
            (folder / "prepared").mkdir()
            rows = number_of(options.preparation)
            apart(report_preparation, folder / "prepared", rows)
        if options.embeddings:
            what = number_of(options.embeddings), options.dim, options.clusters
            for where in ("memory", "file"):
                apart(report_clustering, folder, *what, where)


if __name__ == "__main__":
    main()
