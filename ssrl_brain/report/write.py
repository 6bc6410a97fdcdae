"""Puts the report of one or several output folders together."""

from dataclasses import replace
from pathlib import Path

from ssrl_brain.report import overview
from ssrl_brain.report.faces import contact_sheet
from ssrl_brain.report.page import contents, joined, page, section, tag
from ssrl_brain.report.runs import read_chain
from ssrl_brain.report.stage import stage
from ssrl_brain.report.trials import verification
from ssrl_brain.system.files import write_text


def write_report(folders, output=None, faces=0):
    """Writes the report of chains and runs into one HTML file.

    Arguments
    ---------
    folders : list of str
        Output folders of ``pipeline.py`` or ``train.py``, finished or not.
    output : str, optional
        By default report.html in the first folder.
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
    write_text(path, report(chains, faces))
    return path


def report(chains, faces=0):
    """HTML of chains, the first of which gives the title.

    Arguments
    ---------
    chains : list of Chain
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
        for anchor, name, content in chapters_of(chain, alone, faces):
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


def chapters_of(chain, alone, faces=0):
    """(anchor, title, HTML) of every chapter of a chain."""
    count, warned = overview.warnings(chain)
    head = [overview.summary(chain)]
    if alone:
        head.append(overview.over_time([chain]))
    yield "summary", "Summary", joined(*head)
    yield "warnings", f"Warnings ({count})", warned
    yield "verification", "Verification", verification(chain)
    for number, run in enumerate(chain.runs):
        sheet = contact_sheet(run, chain.prepared, faces) if faces else []
        content = joined(stage(run), *sheet)
        yield f"stage-{number}", f"Stage {run.name}", content
    yield "data", "Data", overview.data(chain)
    yield "cost", "Cost", overview.cost(chain)
    yield "configuration", "Configuration", overview.configuration(chain)
