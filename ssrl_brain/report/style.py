"""How figures of the report look, and how they get into the page.

One panel a figure, drawn at the width of a phone: the page puts as many side
by side as the window has room for. Legends stand below the axes, so that they
hide nothing; colours are those of Okabe and Ito, told apart by the
colour-blind, and lines differ in their marks as well.
"""

import base64
import functools
import io

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v")  # five: thirty different pairs
DASHES = ("-", "--", "-.", ":")
GREY = "#8A8F98"
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9.5,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-3, 5),
    "grid.color": "#E3E6EA",
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "text.parse_math": False,  # a name with two $ is a name
    "svg.fonttype": "path",  # looks the same everywhere
    "svg.hashsalt": "ssrl_brain",  # and is the same file every time
}


def styled(draw):
    """Draws with the style of the report, whatever the user's own."""

    @functools.wraps(draw)
    def wrapper(*arguments, **options):
        with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE}):
            return draw(*arguments, **options)

    return wrapper


@styled
def data_uri(figure):
    """A figure as the address of an inline SVG picture."""
    file = io.BytesIO()
    figure.savefig(
        file,
        format="svg",
        metadata={"Date": None, "Creator": None},
        transparent=True,  # on the page's ground, light or dark
    )
    return "data:image/svg+xml;base64," + base64.b64encode(
        file.getvalue()
    ).decode("ascii")


def axes(x_label, y_label, height=2.9):
    """One pair of axes in a figure of its own."""
    figure = Figure(figsize=(4.1, height), layout="constrained")
    ax = figure.subplots()
    ax.set(xlabel=x_label, ylabel=y_label)
    return ax


def finished(ax, columns=2):
    """The figure of axes, with a legend below if anything has a name."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        names = [shortened(name) for name in names]
        ax.figure.legend(
            handles, names, loc="outside lower center", ncols=columns
        )
    return ax.figure


def shortened(name, length=22):
    """A name that fits a legend.

    Example
    -------
    >>> shortened("cluster_aware_dino_without_augmentation")
    'cluster_aware_dino_wi…'
    """
    return name if len(name) <= length else name[: length - 1] + "…"


def looks(position):
    """Colour and mark of the n-th line."""
    return {
        "color": COLOURS[position % len(COLOURS)],
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": DASHES[position % len(DASHES)],
    }


def mark_every(values):
    """Marks on some of many points, on each of few."""
    return max(1, len(values) // 12)


def epoch_axis(ax, history):
    """Whole epochs, from the first to the last of a history."""
    first, last = history[0]["epoch"], history[-1]["epoch"]
    margin = max(0.5, 0.03 * (last - first))
    ax.set_xlim(first - margin, last + margin)
    ax.xaxis.set_major_locator(
        MaxNLocator(integer=True, nbins=8, min_n_ticks=1)
    )
