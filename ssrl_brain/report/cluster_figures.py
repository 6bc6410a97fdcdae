"""Figures about the clusters of a label folder, each a pure function."""

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ssrl_brain.report.style import (
    COLOURS,
    GREY,
    axes,
    finished,
    looks,
    styled,
)


@styled
def cluster_sizes(sizes):
    """How many clusters have how many utterances."""
    ax = axes("utterances in a cluster", "clusters")
    if sizes.max() <= 60:
        edges = np.arange(0.5, sizes.max() + 1)
    else:
        edges = np.geomspace(0.8, 1.25 * sizes.max(), 41)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
    counts, _ = np.histogram(sizes, edges)
    ax.stairs(counts, edges, fill=True, color=COLOURS[0])
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return finished(ax)


@styled
def silhouettes(suggestion):
    """Mean silhouette against the number of clusters, and what was taken."""
    tried, values = np.array(suggestion["tried"], dtype=float).T
    ax = axes("clusters", "mean silhouette")
    ax.plot(tried, values, **looks(0))
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter("{x:g}")
    for key, name, line in (
        ("speakers", "highest", ":"),
        ("num_clusters", "taken", "--"),
    ):
        ax.axvline(suggestion[key], color=GREY, ls=line, label=name)
    return finished(ax)


@styled
def embedding_map(places, labels, shown):
    """Places of utterances, the clusters shown in colour.

    Arguments
    ---------
    places : numpy.ndarray
        (n, 2)
    labels : numpy.ndarray
        (n,)
    shown : iterable of int
        Clusters, the largest first.

    Returns
    -------
    matplotlib.figure.Figure
    """
    ax = axes("", "", height=3.8)
    others = ~np.isin(labels, shown)
    ax.scatter(*places[others].T, s=4, color="#B9BEC6", linewidths=0)
    for position, cluster in enumerate(shown):
        given = looks(position)
        ax.scatter(
            *places[labels == cluster].T,
            s=14,
            color=given["color"],
            marker=given["marker"],
            linewidths=0,
            label=f"{cluster}",
        )
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    return finished(ax, columns=5)
