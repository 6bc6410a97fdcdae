"""What a chain would do, measured on a few real batches of each stage.

python pipeline.py chains/ssrl.yaml --data_folder=/data/voxceleb --plan
"""

import json
import signal
import subprocess
import sys
import time

import numpy as np

from ssrl_brain.chains.chain_file import makes_labels
from ssrl_brain.commands import command_line
from ssrl_brain.data.preparation import read_summary
from ssrl_brain.data.prepare.auto import describe
from ssrl_brain.evaluation.tables import markdown_table

MEASURE = [sys.executable, "-m", "ssrl_brain.chains.measure"]
NOTE = """
Measured on this machine as busy as it is now, by one process; on N GPUs
training takes about an Nth. Not counted: preparation of the data, which is
done, epochs' ends (validation, mixtures), and clusterings inside of training.
"""
# Where a step writes and what it starts from does not change its cost.
FOLDERS = ("encoder_folder", "label_folder", "output_folder")


def plan(steps):
    """Text about all steps of a chain; data get prepared, nothing is trained.

    Arguments
    ---------
    steps : list of Step

    Returns
    -------
    str
    """
    rows, seconds, measured, told = [], 0.0, {}, {}
    drops = [float(step.options.get("drop_fraction", 0)) for step in steps]
    for step, dropped in zip(steps, [0.0, *drops], strict=False):
        if (step.folder / "done.json").is_file() and not step.missing():
            rows.append({"step": step.name, "YAML": "finished before"})
            continue
        if step.lacks_speakers():
            left_out = "left out: needs speakers and trials"
            rows.append({"step": step.name, "YAML": left_out})
            continue
        uses_labels = "label_folder" in step.options
        command = tuple(
            argument
            for argument in step.arguments(step.yaml, {})
            if argument[2:].partition("=")[0] not in FOLDERS
        ) + ((f"--kept={1 - dropped}",) if uses_labels else ())
        if command not in measured:
            measured[command] = measure(command)
        row, cost = step_row(step, measured[command])
        rows.append(row)
        seconds += cost
        for warning in dict.fromkeys(measured[command]["warnings"]):
            told.setdefault(warning, []).append(step.name)
    summary = read_summary(steps[0].options["prepared_folder"])
    counts = summary.get("counts")
    data = describe(counts) if counts else "not prepared: all is finished"
    return "\n".join(
        [
            f"Data: {data}",
            f"Trials: {trials_text(counts or {})}",
            "",
            markdown_table(rows),
            "",
            f"In all about {duration(seconds)}.",
            NOTE,
            *(f"{', '.join(x)}: {warning}\n" for warning, x in told.items()),
        ]
    )


def measure(command):
    """What ``measure`` prints, in a process of its own for its memory."""
    result = subprocess.run(
        [*MEASURE, *command],
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise ValueError(f"{command[0]}: {reason(result)}")
    lines = result.stdout.strip().splitlines()
    return json.loads(next(x for x in reversed(lines) if x[:1] in ("{", "[")))


def reason(result):
    """Why a process failed; all that it said where it does not tell.

    Its own line need not be the last: other processes and libraries may
    print when they end.

    Arguments
    ---------
    result : subprocess.CompletedProcess

    Example
    -------
    >>> told = "error: lower --lr\\nresource_tracker: leaked"
    >>> reason(subprocess.CompletedProcess("x", 1, stderr=told))
    'lower --lr'
    >>> reason(subprocess.CompletedProcess("x", -9, stderr=""))
    'measuring it was ended by SIGKILL, for want of memory? Lower --batch_size'
    """
    if result.returncode < 0:
        name = signal.Signals(-result.returncode).name
        return (
            f"measuring it was ended by {name}, for want of memory? Lower "
            "--batch_size"
        )
    lines = result.stderr.splitlines()
    told = [x for x in lines if x.startswith("error: ")]
    if told:
        return told[-1].removeprefix("error: ")
    print(result.stderr, file=sys.stderr)
    return "measuring it failed, see above"


def step_row(step, measured):
    """(row of the table, seconds) of a step that is still to be done."""
    training = measured["steps"] * (measured["seconds_per_step"] or 0)
    clusters = step.clusters and not makes_labels(step.yaml)
    hours = counted_hours(step, step.is_embedded)
    embedding = 3600 * hours / measured["speech_per_second"]
    clustering = 0.0
    if clusters:
        clustering = clustering_seconds(step, measured["emb_dim"])
    row = {
        "step": step.name,
        "YAML": step.yaml,
        "utterances": f"{measured['utterances']:,}",
        "hours": float(measured["hours"]),
        "epochs": measured["epochs"],
        "steps": f"{measured['steps']:,}",
        "s a step": measured["seconds_per_step"] or "",
        "training": duration(training),
        "embedding": duration(embedding),
        "clustering": duration(clustering),
        "memory GB": measured["memory_gb"],
    }
    return row, training + embedding + clustering


def counted_hours(step, clusters):
    """Hours of speech to be embedded once the step is trained."""
    counts = read_summary(step.options["prepared_folder"])["counts"]
    mean = counts["train hours"] / max(counts["train"], 1)
    return mean * (counts["test"] + (counts["train"] if clusters else 0))


def clustering_seconds(step, emb_dim):
    """Time of one round over a sample, for all rounds over all utterances."""
    file, _, overrides = command_line.parse(
        step.arguments(
            "hparams/pseudo_label.yaml",
            {"encoder_folder": "none", "label_folder": "none"},
        )
    )
    hparams = command_line.load(file, overrides)
    counts = read_summary(step.options["prepared_folder"])["counts"]
    return rounds_seconds(hparams["cluster"], counts["train"], emb_dim)


def rounds_seconds(cluster, number, emb_dim):
    """Seconds of a ``functools.partial`` that clusters so many embeddings.

    Measured on a sample, of which k-means makes a single round.
    """
    options, rounds = dict(cluster.keywords), 1
    if options["num_clusters"] == "auto":  # about as many are tried
        options["num_clusters"], rounds = max(number // 10, 2), 10
    for key in ("num_iters", "num_restarts"):
        if key in options:
            rounds *= options[key]
            options[key] = 1
    sample = min(number, max(options["num_clusters"], 4096))
    options["num_clusters"] = min(options["num_clusters"], sample)
    points = np.random.default_rng(0).standard_normal((sample, emb_dim))
    started = time.perf_counter()
    cluster.func(points.astype(np.float32), **options)
    return (time.perf_counter() - started) * number / sample * rounds


def trials_text(counts):
    """Lists with their numbers of trials.

    Example
    -------
    >>> trials_text({"trials": {"vox1_o": 37720}, "test": 4708})
    'vox1_o (37,720), over 4,708 utterances'
    """
    lists = counts.get("trials", {})
    if not lists:
        return "none"
    names = ", ".join(f"{name} ({n:,})" for name, n in lists.items())
    return f"{names}, over {counts['test']:,} utterances"


def duration(seconds):
    """A time that people can read.

    Example
    -------
    >>> [duration(x) for x in (0, 40, 600, 7200, 400000)]
    ['0 s', '40 s', '10 min', '2.0 h', '4.6 days']
    """
    for unit, size, limit, digits in (
        ("s", 1, 100, 0),
        ("min", 60, 100, 0),
        ("h", 3600, 72, 1),
    ):
        if seconds / size < limit:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} days"
