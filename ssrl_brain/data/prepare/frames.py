"""Frames of the training utterances: those without any are left out."""

import functools

from ssrl_brain.data.frame_files import (
    VIDEO_SUFFIXES,
    frames_of,
    list_frames,
    suffix_of,
)
from ssrl_brain.data.frame_readers import check_source
from ssrl_brain.data.frames import COLUMNS
from ssrl_brain.data.preparation import parallel_map, write_table


class CorpusFrames:
    """Frames below a folder, for ``write_corpus``.

    Arguments
    ---------
    folder : str
    num_workers : int, optional
        Processes that look at the frames; default: all processors.
    """

    def __init__(self, folder, num_workers=None):
        self.folder = folder
        self.num_workers = num_workers
        self.listing = list_frames(folder)

    def write(self, target, entries, layout):
        """Writes ``frames.csv`` of those entries that have frames.

        Arguments
        ---------
        target : pathlib.Path
            Folder to write to.
        entries : list of Entry
        layout : module

        Returns
        -------
        with_frames : list of Entry
            In the order of ``entries``.
        excluded : list of tuple
            (path, reason) of utterances without frames, and of frames that
            cannot be read.
        num_frames : int

        Raises
        ------
        ValueError
            If no utterance has any.
        """
        found = frames_of(self.listing, layout, entries)
        checks = parallel_map(
            functools.partial(check_source, folder=self.folder),
            list(found.values()),
            self.num_workers,
            "Checking frames",
        )
        checks = dict(zip(found, checks, strict=True))
        excluded, rows, with_frames = [], [], []
        for entry in entries:
            names, broken = checks.get(entry, ([], []))
            excluded += broken
            if names:
                with_frames.append(entry)
                source = found[entry][0]
                rows.append([entry.id, source, "/".join(names)])
            else:
                excluded.append((entry.path, "no frames"))
        if entries and not with_frames:
            raise ValueError(self.nothing_found(entries[0], excluded))
        write_table(target / "frames.csv", COLUMNS, rows)
        return with_frames, excluded, sum(1 + x[2].count("/") for x in rows)

    def nothing_found(self, entry, excluded):
        """Message where no utterance has frames."""
        reasons = [f"{p} ({r})" for p, r in excluded if r != "no frames"]
        if reasons:
            return (
                f"no frame below {self.folder} can be read, e.g. {reasons[0]}"
            )
        have = next(iter(self.listing), "nothing")
        if suffix_of(have) not in VIDEO_SUFFIXES and self.listing:
            have += "/*"
        return (
            f"no training utterance has frames below {self.folder}: images of "
            f"{entry.path} are sought in {entry.id}/*.jpg or {entry.id}.mp4, "
            f"and there is {have}"
        )
