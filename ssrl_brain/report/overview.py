"""Chapters about a chain as a whole: results, data, cost, warnings."""

import math

from ssrl_brain.report import figures, numbers, tables
from ssrl_brain.report.page import (
    details,
    figure,
    gallery,
    joined,
    missing,
    table,
    tag,
)
from ssrl_brain.report.style import data_uri
from ssrl_brain.system.files import read_json

ERRORS = ("eer", "min_dcf_0.05", "min_dcf_0.01")
NAMES = {
    "name": "stage",
    "eer": "EER, %",
    "nmi": "NMI",
    "nmi_kept": "NMI, kept",
    "accuracy": "accuracy, %",
    "purity": "purity, %",
    "seconds": "training, s",
}


def column_name(key):
    """A key of the table as its readers know it.

    Example
    -------
    >>> column_name("eer"), column_name("eer_list2"), column_name("clusters")
    ('EER, %', 'EER, % (list2)', 'clusters')
    >>> column_name("min_dcf_0.05_list2")
    'minDCF(0.05) (list2)'
    """
    if key in NAMES:
        return NAMES[key]
    if key.startswith("min_dcf_"):
        prior, _, rest = key.removeprefix("min_dcf_").partition("_")
        return f"minDCF({prior})" + (f" ({rest})" if rest else "")
    if key.startswith("eer_"):
        return f"EER, % ({key.removeprefix('eer_')})"
    return key.replace("_", " ")


def progress(run):
    """How far a run is, in words."""
    wanted = run.settings.get("number_of_epochs")
    done = run.history[-1]["epoch"] if run.history else 0
    if (run.folder / "export").is_dir():
        return f"finished, {done} epoch{'s' * (done != 1)}"
    return f"not finished, {done} of {wanted or '?'} epochs"


def result_row(run):
    """What is known of a run, as in the table of its chain."""
    if run.row:
        return run.row
    row = {"name": run.name}
    for number, (name, metrics) in enumerate(run.verified.items()):
        suffix = f"_{name}" if number else ""
        row |= {key + suffix: metrics.get(key) for key in ERRORS}
    if not run.verified:  # what training last found itself
        for key in ERRORS:
            for network in ("student", "teacher"):
                _, values = numbers.series(run.history, f"{key}_{network}")
                if len(values):
                    row[key] = float(values[-1])
    last = run.history[-1] if run.history else {}
    labels = ("nmi", "accuracy", "purity", "clusters")
    row |= {key: last[key] for key in labels if key in last}
    return row | {"seconds": round(run.seconds, 1)}


def summary(chain):
    """The table of a chain, each stage above the paper's figures of it."""
    rows, classes = [], []
    for run in chain.runs:
        rows.append({**result_row(run), "state": progress(run)})
        classes.append("")
        if run.paper:
            rows.append({**run.paper, "name": f"{run.name} (paper)"})
            classes.append("paper")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    last = ("seconds", "state")
    columns.sort(key=lambda key: last.index(key) if key in last else -1)
    return table(
        [column_name(key) for key in columns],
        [[row.get(key) for key in columns] for row in rows],
        classes,
    )


def over_time(chains, beside=()):
    """Figure 3 of SSRL for one chain or several, and what is drawn beside."""
    lines = [
        (name if len(chains) == 1 else chain.name, seconds, eer)
        for chain in chains
        for name, seconds, eer in numbers.error_lines(chain.runs)
    ]
    if not lines:
        return missing(
            "No EER over training time: no stage has been verified. Give "
            "--trial_lists for that."
        )
    return gallery(
        [
            figure(
                "EER against training time (SSRL, Fig. 3)",
                "Epochs of a stage and of those that it started from; "
                "clustering, validation and verification are not counted. "
                "The teacher where there is one.",
                data_uri(figures.eer_over_time(lines)),
            ),
            *beside,
        ]
    )


def data(chain):
    """What was prepared and what was left out."""
    if chain.prepared is None:
        return missing(
            "The prepared folder of this run is not there any more: nothing "
            "is known of its data."
        )
    prepared = read_json(chain.prepared / "prepared.json")
    counts, made_from = prepared["counts"], prepared["made_from"]
    corpus = made_from.get("corpus", {})
    facts = [
        *([key, str(value)] for key, value in corpus.items()),
        ["folder", str(made_from.get("data_folder", ""))],
        ["training utterances", shown_count(counts["train"])],
        ["hours of them", f"{counts['train hours']:.1f}"],
        ["sessions of them", shown_count(counts["train sessions"])],
        ["test utterances", shown_count(counts["test"])],
        [
            "not trained on, of a test speaker",
            shown_count(counts["test speaker"]),
        ],
        ["noise to add", "yes" if made_from.get("noise") else "none"],
        ["rooms to add", "yes" if made_from.get("rirs") else "none"],
    ]
    for name, number in counts["trials"].items():
        facts.append([f"trials in {name}", shown_trials(counts, name, number)])
    return joined(
        tag("div", table(["what", "value"], facts), class_="facts"),
        left_out(chain.prepared),
    )


def shown_trials(counts, name, number):
    """A number of trials, with what to know of them.

    Example
    -------
    >>> counts = {
    ...     "duplicate trials": {"a": 2},
    ...     "trials of one session": {"a": 9},
    ... }
    >>> shown_trials(counts, "a", 1000)
    '1,000, 2 of them twice, 9 of one speaker in one session'
    """
    twice = counts["duplicate trials"].get(name, 0)
    session = counts.get("trials of one session", {}).get(name, 0)
    shown = [shown_count(number)]
    if twice:
        shown.append(f"{twice:,} of them twice")
    if session:
        shown.append(f"{session:,} of one speaker in one session")
    return ", ".join(shown)


def shown_count(number):
    """A number of things, with separators."""
    return f"{number:,}"


def left_out(prepared):
    """Table of files that preparation left out."""
    excluded = tables.read_excluded(prepared)
    if not excluded:
        return tag("p", "No file was left out.")
    return joined(
        tag("h3", "Files left out"),
        table(
            ["reason", "files", "for example"],
            [[why, n, ids_cell(first)] for why, n, first in excluded],
        ),
    )


def ids_cell(names):
    """A cell of paths or IDs, none broken where there is room."""
    lines = joined(*(tag("span", name) for name in names))
    return tag("td", lines, class_="ids")


def cost(chain):
    """Time, speed and memory of every stage."""
    rows = []
    for run in chain.runs:
        epochs = len(run.history)
        utterances = trained_utterances(run, chain)
        speed = None
        if utterances and run.seconds:
            speed = utterances * epochs / run.seconds
        memory = [
            record[key]
            for record in run.history
            for key in record
            if "memory" in key and isinstance(record[key], (int, float))
        ]
        rows.append(
            [
                run.name,
                epochs,
                duration(run.seconds),
                run.seconds / epochs if epochs else None,
                speed,
                max(memory, default=None),
            ]
        )
    columns = [
        "stage",
        "epochs",
        "training",
        "s per epoch",
        "utterances/s",
        "peak memory",
    ]
    if all(row[-1] is None for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    note = (
        "Training epochs only. An epoch counts all prepared utterances, also "
        "those that purification leaves out; fine-tuning the labelled ones."
    )
    return joined(table(columns, rows), tag("p", note))


def trained_utterances(run, chain):
    """Utterances of an epoch, or None where that cannot be told."""
    labelled = run.folder / "labelled_utterances.txt"
    if labelled.is_file():
        return len(labelled.read_text(encoding="utf-8").splitlines())
    if chain.prepared is None:
        return None
    return read_json(chain.prepared / "prepared.json")["counts"]["train"]


def duration(seconds):
    """A time span in words.

    Example
    -------
    >>> duration(59.6), duration(125), duration(90000)
    ('1 min 0 s', '2 min 5 s', '25 h 0 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {math.floor(seconds % 3600 / 60)} min"


def warnings(chain):
    """List of all warnings, (number of them, HTML)."""
    found = [
        (run.name, message, number)
        for run in chain.runs
        for message, number in tables.read_warnings(run)
    ]
    if not found:
        return 0, tag("p", "There were none.")
    items = (
        tag(
            "li",
            tag("b", name),
            f": {message}" + (f" ({number} times)" if number > 1 else ""),
        )
        for name, message, number in found
    )
    return len(found), tag("div", tag("ul", *items), class_="warnings")


def configuration(chain):
    """The resolved YAML of every stage, folded away."""
    return joined(
        *(
            details(run.name, tag("pre", run.yaml))
            if run.yaml
            else missing(f"{run.name} left no hyperparams.yaml.")
            for run in chain.runs
        )
    )
