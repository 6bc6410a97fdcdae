"""The chapter of one stage: curves, losses, clusters."""

from ssrl_brain.report import figures, panels, shown
from ssrl_brain.report.clusters import clusters
from ssrl_brain.report.overview import progress
from ssrl_brain.report.page import (
    details,
    figure,
    gallery,
    joined,
    missing,
    table,
    tag,
)
from ssrl_brain.report.runs import MODALITIES
from ssrl_brain.report.style import data_uri


def stage(run, clips=None):
    """Curves of a stage, the figures of its method, its clusters.

    Arguments
    ---------
    run : Run
    clips : Clips or NoClips, optional
        See ``clusters``.

    Returns
    -------
    Html
    """
    content = [tag("p", f"{progress(run)}; {run.folder}")]
    if not run.history:
        content.append(missing("No epoch has been logged."))
    elif len(run.history) == 1:  # a curve of one point says nothing
        content.append(values_table(run.history[0]))
    else:
        content += curves(run.history)
    for modality in MODALITIES:
        if losses := loss_figures(of_modality(run.history, modality)):
            title = f"Losses as a mixture{modality.replace('_', ': ')}"
            content += [tag("h3", title), gallery(losses)]
    if run.label_folder is not None and clips is not None:
        content += clusters(run.label_folder, clips)
    elif run.label_folder is not None:  # of a step on the way
        content.append(
            details("Clusters at its end", *clusters(run.label_folder)[1:])
        )
    return joined(*content)


def values_table(record):
    """The numbers of a single epoch."""
    rows = [
        [key, value]
        for key, value in record.items()
        if isinstance(value, (int, float))
    ]
    return table(["logged", "value"], rows)


def curves(history):
    """What was logged over epochs, by group."""
    content = []
    for title, group in panels.GROUPS.items():
        drawn = [
            panel_figure(history, panel)
            for panel in shown.panels_of(history, group)
        ]
        if panels.LABELS[0] in group:
            drawn += size_figure(history)
        if drawn:
            content += [tag("h3", title), gallery(drawn)]
    if once := shown.logged_once(history):
        content.append(
            details(
                "Logged once",
                table(["logged", "value"], [list(x) for x in once.items()]),
            )
        )
    others = [
        panel_figure(history, panel) for panel in shown.other_panels(history)
    ]
    if others:
        content.append(details("Other logged values", gallery(others)))
    return content


def panel_figure(history, panel):
    """A panel as a figure of the page."""
    uri = data_uri(figures.curves(history, panel))
    return figure(panel.title, panel.note, uri)


def size_figure(history):
    """[figure of cluster sizes over epochs], [] where they are not logged."""
    if not any(record.get("cluster_size_quantiles") for record in history):
        return []
    return [
        figure(
            "Sizes of the clusters",
            "Smallest, quartiles and largest, of clusters with utterances.",
            data_uri(figures.size_quantiles(history)),
        )
    ]


def of_modality(history, ending):
    """What was logged of one modality, by the names of a stage with one.

    Example
    -------
    >>> of_modality([{"epoch": 1, "gate": 2, "gate_audio": 3}], "_audio")
    [{'epoch': 1, 'gate': 3}]
    """
    return [
        {
            key.removesuffix(ending): value
            for key, value in record.items()
            if key == "epoch" or key.endswith(ending)
        }
        for record in history
    ]


def loss_figures(history):
    """Figure 2 of SSRL at the first and at the last epoch, and its use."""
    fitted = [
        record
        for record in history
        if record.get("mixture") or record.get("loss_histogram")
    ]
    if not fitted:
        return []
    drawn = []
    for record in fitted[:1] + fitted[1:][-1:]:
        note = (
            "Losses of all utterances on the axis of the two Gaussians that "
            "are fitted to them."
        )
        if not record.get("loss_histogram"):
            note = "The two Gaussians fitted to the losses."
        if not record.get("mixture"):
            note += " No mixture could be fitted: every label counts as clean."
        drawn.append(
            figure(
                f"Losses, epoch {record['epoch']} (SSRL, Fig. 2)",
                note,
                data_uri(figures.loss_histogram(record)),
            )
        )
    if fitted[-1].get("mixture"):
        drawn.append(
            figure(
                f"Clean probability, epoch {fitted[-1]['epoch']}",
                "Of a label, given its loss: the posterior of the clean "
                "component (SSRL, eq. 18) and its monotone variant. Dotted: "
                "the two means. Shaded, here and above: where the posterior "
                "rises with the loss, because one component is the wider; the "
                "smallest losses are mistrusted or the largest trusted.",
                data_uri(
                    figures.clean_probabilities(
                        fitted[-1]["mixture"],
                        fitted[-1].get("loss_axis", "ln(loss)"),
                    )
                ),
            )
        )
    return drawn
