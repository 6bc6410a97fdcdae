"""Draws the picture of the README from a finished demo.

    python benchmarks/readme_figure.py results/mini docs/figures

Writes demo_light and demo_dark, each as .svg and .png: the equal error rate
after each stage with its 95 % interval, and the DET curves.
"""

from pathlib import Path

import matplotlib
import numpy as np
import scipy.stats
from matplotlib.figure import Figure

from ssrl_brain.report.numbers import det_points
from ssrl_brain.report.runs import read_chain
from ssrl_brain.report.style import STYLE
from ssrl_brain.report.tables import read_scores
from ssrl_brain.report.trial_figures import DET_TICKS
from ssrl_brain.system.process import run

THEMES = {  # ground, text, grid, and a colour for each stage
    "light": (
        ("#ffffff", "#1f2328", "#e3e6ea"),
        ("#8A8F98", "#56B4E9", "#0072B2", "#D55E00", "#009E73"),
    ),
    "dark": (
        ("#0d1117", "#e6edf3", "#2c323a"),
        ("#8b949e", "#a5d6ff", "#58a6ff", "#ff9d5c", "#56d4a8"),
    ),
}


def draw(chain, theme):
    """The figure of a chain whose stages were verified on one list.

    Arguments
    ---------
    chain : Chain
    theme : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    (ground, text, grid), colours = THEMES[theme]
    look = {
        **STYLE,
        "figure.facecolor": ground,
        "axes.facecolor": ground,
        "savefig.facecolor": ground,
        "axes.edgecolor": text,
        "text.color": text,
        "axes.labelcolor": text,
        "axes.titlecolor": text,
        "xtick.color": text,
        "ytick.color": text,
        "grid.color": grid,
    }
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **look}):
        figure = Figure(figsize=(8.6, 3.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        runs = [item for item in chain.runs if item.verified]
        error_rates(left, runs, colours, text)
        det_curves(right, runs, colours, grid)
        return figure


def error_rates(ax, runs, colours, text):
    """EER of each stage on the first list, with its interval."""
    for position, item in enumerate(runs):
        found = next(iter(item.verified.values()))
        low, high = found["intervals"].get("eer", [found["eer"]] * 2)
        colour = colours[position % len(colours)]
        ax.bar(position, found["eer"], 0.62, color=colour)
        ax.vlines(position, low, high, color=text, lw=1.2)
        ax.text(
            position,
            high + 0.4,
            f"{found['eer']:.3g} %",
            ha="center",
            va="bottom",
        )
    ax.set_xticks(range(len(runs)), [item.name for item in runs])
    ax.set(ylabel="equal error rate, %", title="Error after each stage")
    ax.grid(axis="x", visible=False)
    ax.set_ylim(bottom=0)
    ax.margins(y=0.12)


def det_curves(ax, runs, colours, grid):
    """Misses against false alarms, on axes of normal deviates."""
    for position, item in enumerate(runs):
        paths = item.score_files()
        if not paths:
            continue
        alarms, misses = det_points(*read_scores(paths[0]))
        ax.plot(
            scipy.stats.norm.ppf(alarms),
            scipy.stats.norm.ppf(misses),
            color=colours[position % len(colours)],
            label=item.name,
        )
    ticks = [tick for tick in DET_TICKS if 0.005 <= tick <= 0.6]
    places = scipy.stats.norm.ppf(ticks)
    names = [f"{100 * tick:g}" for tick in ticks]
    ax.set_xticks(places, names)
    ax.set_yticks(places, names)
    limits = np.array([places[0], places[-1]])
    ax.plot(limits, limits, ":", color=grid)
    ax.set(
        xlim=limits,
        ylim=limits,
        xlabel="false alarms, %",
        ylabel="misses, %",
        title="DET curves",
    )
    ax.legend(loc="upper right")


def main(arguments):
    """Writes the four files."""
    if len(arguments) != 2:
        raise ValueError(
            "give the folder of a finished demo and one to write to"
        )
    chain, target = read_chain(arguments[0]), Path(arguments[1])
    if not any(item.verified for item in chain.runs):
        raise ValueError(
            f"{arguments[0]} has no verified stage: run `make demo`"
        )
    target.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        figure = draw(chain, theme)
        for kind in ("svg", "png"):
            given = {"Date": None} if kind == "svg" else {}
            path = target / f"demo_{theme}.{kind}"
            figure.savefig(path, dpi=160, metadata=given)
            print(path)


if __name__ == "__main__":
    run(main)
