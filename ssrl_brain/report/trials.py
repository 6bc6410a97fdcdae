"""The chapter of verification: DET curves and scores of every trial list."""

from ssrl_brain.report import numbers, tables, trial_figures
from ssrl_brain.report.overview import ERRORS, column_name
from ssrl_brain.report.page import (
    figure,
    gallery,
    joined,
    missing,
    table,
    tag,
)
from ssrl_brain.report.style import data_uri


def verification(chain):
    """DET curves of all stages by list, and the scores of each stage."""
    by_list = scores_by_list(chain)
    if not by_list:
        return missing("No trial list has been scored.")
    content = []
    for name, scored in by_list.items():
        drawn = det_figure(scored)
        limits = (
            min(scores.min(initial=1.0) for _, scores, _ in scored),
            max(scores.max(initial=-1.0) for _, scores, _ in scored),
        )
        for stage, scores, labels in scored:
            if 0 < labels.sum() < len(labels):
                drawn.append(
                    figure(
                        f"Scores: {stage}",
                        f"{int(labels.sum()):,} trials of the same speaker, "
                        f"{int((1 - labels).sum()):,} of different ones; the axis "
                        "is the same for all stages.",
                        data_uri(
                            trial_figures.score_histogram(
                                scores, labels, limits
                            )
                        ),
                    )
                )
        content += [
            tag("h3", f"Trial list {name}"),
            metrics_table(name, chain.runs),
            gallery(drawn),
        ]
    return joined(*content)


def scores_by_list(chain):
    """{name of a list: (stage, scores, labels) of those that scored it}"""
    by_list = {}
    for run in chain.runs:
        for path in run.score_files():
            scored = tables.read_scores(path)
            by_list.setdefault(path.stem, []).append((run.name, *scored))
    return by_list


def first_det_figure(chain):
    """[figure of the DET curves of the first list], or []."""
    scored = list(scores_by_list(chain).values())
    return det_figure(scored[0]) if scored else []


def metrics_table(name, runs):
    """Error rates of a list by stage, with intervals where there are any.

    Arguments
    ---------
    name : str
        Of the trial list.
    runs : list of Run

    Returns
    -------
    Html
    """
    rows = [
        {"name": run.name} | metrics_row(run.verified[name])
        for run in runs
        if name in run.verified
    ]
    if not rows:
        return missing("Its metrics are not there: run verify.py again.")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return table(
        [column_name(key) for key in columns],
        [[row.get(key) for key in columns] for row in rows],
    )


def metrics_row(metrics):
    """Cells of what ``verify.py`` found for a list.

    Example
    -------
    >>> metrics_row({"eer": 6.5, "intervals": {"eer": [5, 8.25]}})
    {'eer': 6.5, 'eer_95 %': [5, 8.25]}
    """
    row = {}
    for part, suffix in ((metrics, ""), (metrics.get("as_norm"), "_s-norm")):
        for key in ERRORS if part else ():
            if key in part:
                row[key + suffix] = part[key]
            if key in part.get("intervals", {}):
                separator = ", " if suffix else "_"
                row[f"{key}{suffix}{separator}95 %"] = part["intervals"][key]
    if "intervals_by" in metrics and metrics.get("intervals"):
        row["intervals by"] = metrics["intervals_by"]
    counts = metrics.get("trials", {})
    row |= {
        f"trials {key}": counts[key]
        for key in ("repeated", "missing")
        if counts.get(key)
    }
    return row


def det_figure(scored):
    """[figure of the DET curves], [] where no curve has a point."""
    lines = [
        (stage, *numbers.det_points(scores, labels))
        for stage, scores, labels in scored
        if 0 < labels.sum() < len(labels)
    ]
    lines = [line for line in lines if len(line[1])]
    if not lines:
        return []
    return [
        figure(
            "DET curves",
            "Misses against false alarms at every threshold, on axes of "
            "normal deviates; nearer to the lower left corner is better. "
            "Dotted: equal errors.",
            data_uri(trial_figures.det_curves(lines)),
        )
    ]
