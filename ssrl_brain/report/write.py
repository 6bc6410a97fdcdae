"""Puts the report of one or several output folders together."""

import os
import re
from dataclasses import replace
from pathlib import Path

from ssrl_brain.report import overview
from ssrl_brain.report.faces import contact_sheet
from ssrl_brain.report.listen import clips_of
from ssrl_brain.report.page import (
    MADE_BY,
    contents,
    joined,
    page,
    section,
    tag,
)
from ssrl_brain.report.runs import read_chain
from ssrl_brain.report.stage import stage
from ssrl_brain.report.trials import first_det_figure, verification
from ssrl_brain.report.verdict import verdict
from ssrl_brain.system.files import write_text
from ssrl_brain.system.folders import relation

# Folders of a run that are only read.
READ = ("data_folder", "noise_folder", "rir_folder", "frames_folder")
# How reports began before they named their maker.
OLDER = re.compile(
    rb'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n<meta '
    rb'name="viewport" content="width=device-width, initial-scale=1">\n<title>'
)


def write_report(folders, output=None, audio=True, faces=0):
    """Writes the report of chains and runs into one HTML file.

    Arguments
    ---------
    folders : list of str
        Output folders of ``pipeline.py`` or ``train.py``, finished or not.
    output : str, optional
        By default report.html in the first folder.
    audio : bool
        Whether clips of some utterances are put into the file.
    faces : int
        Clusters of each stage whose faces are shown; none unless asked for.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError, ValueError
        In one line: which folder or line cannot be read, and the remedy.
    """
    chains = [read_chain(folder) for folder in folders]
    path = Path(output or chains[0].folder / "report.html")
    refuse_to_overwrite(path)
    refuse_among_data(path, chains)
    write_text(path, report(chains, audio, faces))
    return path


def refuse_to_overwrite(path):
    """Raises ValueError for a file that is there and is no report.

    Example
    -------
    >>> path = Path(getfixture("tmp_path")) / "song.wav"
    >>> refuse_to_overwrite(path)
    >>> _ = path.write_text("la")
    >>> refuse_to_overwrite(path)
    Traceback (most recent call last):
    ...
    ValueError: ...song.wav is there and is no report: move it out of the way...
    """
    if not os.path.lexists(path):
        return
    head = b""
    if path.is_file():
        with open(path, "rb") as file:
            head = file.read(4096)
    if MADE_BY.encode() not in head and not OLDER.match(head):
        raise ValueError(
            f"{path} is there and is no report: move it out of the way, or "
            "give another --output"
        )


def refuse_among_data(path, chains):
    """Raises ValueError for a report among the audio of a run."""
    for run in (run for chain in chains for run in chain.runs):
        for key in READ:
            read = run.settings.get(key)
            if read and relation(path, read) == "lies in":
                raise ValueError(
                    f"{path} lies in {key} {read}, which is only read: give "
                    "another --output"
                )


def report(chains, audio=True, faces=0):
    """HTML of chains, the first of which gives the title.

    Arguments
    ---------
    chains : list of Chain
    audio : bool
    faces : int
        See ``write_report``.

    Returns
    -------
    str
    """
    title = " and ".join(chain.title for chain in chains)
    alone = len(chains) == 1
    chains = named_apart(chains)
    navigation, chapters = [], []
    for number, chain in enumerate(chains):
        entries = []
        for anchor, name, content in chapters_of(chain, alone, audio, faces):
            anchor = f"{anchor}-{number}"
            entries.append((name, anchor))
            heading = name if alone else f"{chain.name}: {name}"
            chapters.append(section(heading, anchor, content))
        navigation.append(contents(entries, "" if alone else chain.name))
    if not alone:
        compared = section("Compared", "compared", overview.over_time(chains))
        chapters.insert(0, compared)
    return page(title, tag("h1", title), *navigation, *chapters)


def named_apart(chains):
    """Chains of one name get their whole paths as names."""
    names = [chain.name for chain in chains]
    if len(set(names)) == len(names):
        return chains
    return [replace(chain, name=str(chain.folder)) for chain in chains]


def chapters_of(chain, alone, audio, faces=0):
    """(anchor, title, HTML) of every chapter of a chain."""
    count, warned = overview.warnings(chain)
    clips = clips_of(chain.prepared, audio)
    labelled = [run.name for run in chain.runs if run.label_folder]
    head = [verdict(chain), overview.summary(chain)]
    if alone:
        head.append(overview.over_time([chain], first_det_figure(chain)))
    yield "summary", "Summary", joined(*head)
    yield "warnings", f"Warnings ({count})", warned
    yield "verification", "Verification", verification(chain)
    for number, run in enumerate(chain.runs):
        sheet = contact_sheet(run, chain.prepared, faces) if faces else []
        heard = clips if run.name in labelled[-1:] else None
        content = joined(stage(run, heard), *sheet)
        yield f"stage-{number}", f"Stage {run.name}", content
    yield "data", "Data", overview.data(chain)
    yield "cost", "Cost", overview.cost(chain)
    yield "configuration", "Configuration", overview.configuration(chain)
