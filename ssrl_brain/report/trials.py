"""The chapter of verification: DET curves and scores of every trial list."""

from ssrl_brain.report import figures, numbers, tables
from ssrl_brain.report.page import figure, gallery, joined, missing, tag
from ssrl_brain.report.style import data_uri


def verification(chain):
    """DET curves of all stages by list, and the scores of each stage."""
    by_list = {}
    for run in chain.runs:
        for path in run.score_files():
            scored = tables.read_scores(path)
            by_list.setdefault(path.stem, []).append((run.name, *scored))
    if not by_list:
        return missing("No trial list has been scored.")
    content = []
    for name, scored in by_list.items():
        drawn = det_figure(scored)
        for stage, scores, labels in scored:
            if 0 < labels.sum() < len(labels):
                drawn.append(
                    figure(
                        f"Scores: {stage}",
                        f"{int(labels.sum()):,} trials of the same speaker, "
                        f"{int((1 - labels).sum()):,} of different ones.",
                        data_uri(figures.score_histogram(scores, labels)),
                    )
                )
        content += [tag("h3", f"Trial list {name}"), gallery(drawn)]
    return joined(*content)


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
            data_uri(figures.det_curves(lines)),
        )
    ]
