"""Figures about training, each a pure function from values to a figure."""

import numpy as np
import torch
from matplotlib.ticker import LogLocator, NullLocator

from ssrl_brain.noisy_labels.gmm import clean_probability, mistaken_range
from ssrl_brain.report import numbers
from ssrl_brain.report.style import (
    COLOURS,
    GREY,
    axes,
    epoch_axis,
    finished,
    looks,
    mark_every,
    styled,
)


@styled
def curves(history, panel):
    """Values of a panel over epochs.

    Arguments
    ---------
    history : list of dict
    panel : Panel

    Returns
    -------
    matplotlib.figure.Figure
    """
    ax = axes("epoch", panel.unit)
    for position, (key, name) in enumerate(panel.keys.items()):
        epochs, values = numbers.series(history, key)
        if len(epochs):
            ax.plot(
                epochs,
                panel.scale * values,
                label=name if len(panel.keys) > 1 else None,
                markevery=mark_every(epochs),
                clip_on=False,
                **looks(position),
            )
    epoch_axis(ax, history)
    if panel.from_zero:
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    return finished(ax)


@styled
def size_quantiles(history, key="cluster_size_quantiles"):
    """Quartiles and extremes of the cluster sizes over epochs."""
    found = [(r["epoch"], r[key]) for r in history if r.get(key)]
    epochs, sizes = zip(*found, strict=True)
    low, first, median, third, high = np.array(sizes, dtype=float).T
    ax = axes("epoch", "utterances in a cluster")
    ax.fill_between(
        epochs, low, high, color=COLOURS[5], alpha=0.25, label="all clusters"
    )
    ax.fill_between(
        epochs, first, third, color=COLOURS[0], alpha=0.3, label="middle half"
    )
    ax.plot(epochs, median, color=COLOURS[0], label="median")
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter("{x:g}")
    epoch_axis(ax, history)
    return finished(ax, columns=3)


@styled
def loss_histogram(record):
    """Log losses of an epoch with their mixture and gate (SSRL, figure 2).

    Arguments
    ---------
    record : dict
        Of one epoch, with "mixture" or "loss_histogram" or both. Split by
        right and wrong labels where "loss_histogram_right" and
        "loss_histogram_wrong" are there; the gate is "next_gate_on_axis",
        which this mixture sets. Shaded where the clean probability, of records
        with "clean_prob", rises with the loss.

    Returns
    -------
    matplotlib.figure.Figure
    """
    histogram, mixture = record.get("loss_histogram"), record.get("mixture")
    counted = "utterances per bin" if histogram else "density"
    ax = axes(record.get("loss_axis", "ln(loss)"), counted, height=3.2)
    mass = 1.0
    if histogram:
        edges = numbers.bin_edges(histogram)
        mass = sum(histogram["counts"]) * (edges[1] - edges[0])
        layers = [
            (record[key]["counts"], name, colour)
            for key, name, colour in (
                ("loss_histogram_right", "right labels", COLOURS[5]),
                ("loss_histogram_wrong", "wrong labels", "#F0B27A"),
            )
            if record.get(key)
        ] or [(histogram["counts"], "all utterances", "#C9CDD3")]
        below = np.zeros(len(edges) - 1)
        for counts, name, colour in layers:
            above = below + np.array(counts, dtype=float)
            ax.stairs(above, edges, baseline=below, fill=True, color=colour)
            ax.patches[-1].set_label(name)
            below = above
    if mixture:
        low, high = numbers.mixture_range(mixture)
        if histogram:
            low, high = edges[0], edges[-1]
        x = np.linspace(low, high, 400)
        both = numbers.component_curves(x, mixture, mass)
        ax.plot(x, both[0], color=COLOURS[0], label="clean component")
        ax.plot(x, both[1], "--", color=COLOURS[1], label="noisy component")
        if "clean_prob" in record:
            shade_mistaken(ax, mixture, low, high)
    gate = record.get("next_gate_on_axis")
    if gate is not None:
        ax.axvline(gate, color="black", ls=":", label="gate")
    return finished(ax)


def shade_mistaken(ax, mixture, low, high):
    """Marks what of (low, high) the posterior of eq. 18 gets the wrong way."""
    found = mistaken_range(numbers.as_mixture(mixture))
    start, end = np.clip(found or (low, low), low, high)
    if start < end:
        ax.axvspan(
            start,
            end,
            color=COLOURS[1],
            alpha=0.12,
            lw=0,
            label="larger loss, cleaner (eq. 18)",
        )


@styled
def clean_probabilities(mixture, label="ln(loss)"):
    """Clean probability against the loss, of the paper and monotone."""
    x = np.linspace(*numbers.mixture_range(mixture), 400)
    ax = axes(label, "probability of a clean label", height=3.2)
    for name, monotone, line in (
        ("posterior of the paper", False, "-"),
        ("monotone", True, "--"),
    ):
        probability = clean_probability(
            torch.from_numpy(x), numbers.as_mixture(mixture), monotone
        )
        colour = COLOURS[int(monotone)]
        ax.plot(x, probability.numpy(), line, color=colour, label=name)
    shade_mistaken(ax, mixture, x[0], x[-1])
    for mean in mixture[1]:
        ax.axvline(mean, color=GREY, ls=":", lw=1)
    ax.set_ylim(-0.03, 1.03)
    return finished(ax)


@styled
def eer_over_time(lines):
    """EER against training time (SSRL, figure 3).

    Arguments
    ---------
    lines : list of tuple
        (name, seconds (n,), eer (n,)); lines of one name look the same.

    Returns
    -------
    matplotlib.figure.Figure
    """
    latest = max(seconds.max() for _, seconds, _ in lines)
    divisor, unit = next(
        (d, name)
        for d, name in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        if latest >= 2 * d or d == 1
    )
    ax = axes(f"training time, {unit}", "EER, %", height=3.2)
    names = list(dict.fromkeys(name for name, _, _ in lines))
    for position, (name, seconds, values) in enumerate(lines):
        first = name not in [line[0] for line in lines[:position]]
        ax.plot(
            seconds / divisor,
            values,
            label=name if first else None,
            markevery=mark_every(values),
            clip_on=False,
            zorder=3 - position / len(lines),  # ends lie on beginnings
            **looks(names.index(name)),
        )
    ax.set_xlim(left=-0.03 * latest / divisor)
    ax.set_ylim(bottom=0)
    return finished(ax)
