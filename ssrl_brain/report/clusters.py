"""The clusters after a stage: sizes, a map, and utterances to listen to."""

import numpy as np

from ssrl_brain.handover.label_folder import read_label_table
from ssrl_brain.report import cluster_figures, numbers
from ssrl_brain.report.overview import ids_cell
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
from ssrl_brain.system.files import read_array, read_json

CLUSTERS_SHOWN = 10
CLUSTERS_HEARD = 6
UTTERANCES_SHOWN = 5
COLOURED = 10  # clusters of the map that have a colour


def clusters(folder, clips=None):
    """Sizes of the clusters after a stage, and those to listen to.

    Arguments
    ---------
    folder : Path
        Label folder.
    clips : Clips or NoClips, optional
        With which the map and the players are shown as well.

    Returns
    -------
    list of Html
    """
    ids, labels, distances, keep = read_label_table(folder)
    found = numbers.clusters_of(labels, distances)
    heading = tag("h3", "Clusters at its end")
    if not len(found.sizes):
        return [heading, missing("No utterance has a label.")]
    source = read_json(folder / "source.json") or {}
    # what a stage calls the distance of its own labels is its teacher's loss
    measure = "teacher loss" if "stage" in source else "distance"
    drawn = [
        figure(
            "Cluster sizes",
            "How many clusters have how many utterances.",
            data_uri(cluster_figures.cluster_sizes(found.sizes)),
        ),
        *suggestion_figure(source.get("suggestion")),
    ]
    if clips is not None:
        drawn += map_figure(folder, labels, found)
    largest = numbers.largest(found, CLUSTERS_SHOWN)
    doubtful = numbers.most_doubtful(found, CLUSTERS_SHOWN)
    content = [
        heading,
        tag("p", facts(ids, found, keep)),
        gallery(drawn),
    ]
    if clips is not None and clips.note:
        content += [
            tag("h3", "Listen"),
            tag(
                "p",
                f"Of each cluster the utterance of the least {measure} and "
                "that of the most: one voice, or two? " + clips.note,
            ),
            tag("h4", "The largest clusters"),
            heard(found, ids, largest[:CLUSTERS_HEARD], clips),
            tag("h4", "The most doubtful clusters"),
            heard(found, ids, doubtful[:CLUSTERS_HEARD], clips),
        ]
    return content + [
        details(
            "The largest clusters",
            tag("p", f"With their utterances of the least {measure}."),
            cluster_table(found, ids, largest, measure, slice(None)),
        ),
        details(
            "The most doubtful clusters",
            tag(
                "p",
                f"Those of the greatest mean {measure}, with the utterances "
                "that have most of it: listen whether they are one speaker.",
            ),
            cluster_table(found, ids, doubtful, measure, slice(None, None, -1)),
        ),
    ]


def facts(ids, found, keep):
    """A sentence about sizes."""
    alone = int((found.sizes == 1).sum())
    text = (
        f"{len(ids):,} utterances in {len(found.sizes):,} clusters of "
        f"{found.sizes.min():,} to {found.sizes.max():,}, median "
        f"{np.median(found.sizes):g}."
    )
    if alone:
        text += (
            f" {alone:,} of them hold{'s' * (alone == 1)} a single utterance."
        )
    dropped = int((~keep).sum())
    if dropped:
        text += f" Purification leaves out {dropped:,} of the utterances."
    return text


def suggestion_figure(suggestion):
    """[figure of the silhouettes that suggested a number], or []."""
    if not suggestion:
        return []
    return [
        figure(
            "How many clusters?",
            "Mean silhouette of so many clusters: highest where utterances "
            "are nearest to their own cluster and farthest from the next. "
            f"About {suggestion['speakers']:,} speakers; somewhat more, "
            f"{suggestion['num_clusters']:,}, were taken.",
            data_uri(cluster_figures.silhouettes(suggestion)),
        )
    ]


def map_figure(folder, labels, found):
    """[map of the embeddings], [] where there are none."""
    path = folder / "embeddings.npy"
    if not path.is_file():
        return []
    rows, places = numbers.places(read_array(path, num_dims=2))
    if not len(rows):
        return []
    shown = found.numbers[numbers.largest(found, COLOURED)]
    return [
        figure(
            "Map of the utterances",
            f"{len(rows):,} embeddings by t-SNE: near ones are alike, the "
            "distance of far ones means nothing. Coloured: the largest "
            "clusters.",
            data_uri(
                cluster_figures.embedding_map(places, labels[rows], shown)
            ),
        )
    ]


def heard(found, ids, positions, clips):
    """Players of the nearest and the farthest utterance of clusters."""
    cards = []
    for i in positions:
        members = found.members[i]
        chosen = [members[0], members[-1]][: len(members)]
        players = (
            joined(tag("span", ids[row], class_="id"), clips.of(ids[row]))
            for row in chosen
        )
        title = f"Cluster {found.numbers[i]}, {found.sizes[i]:,} utterances"
        cards.append(tag("div", tag("b", title), *players, class_="card"))
    return tag("div", *cards, class_="cards")


def cluster_table(found, ids, positions, measure, order):
    """Clusters with some of their utterances, in an order of distance."""
    rows = [
        [
            int(found.numbers[i]),
            int(found.sizes[i]),
            float(found.distances[i]),
            ids_cell(
                ids[row] for row in found.members[i][order][:UTTERANCES_SHOWN]
            ),
        ]
        for i in positions
    ]
    names = ["cluster", "size", f"mean {measure}", "to listen to"]
    return table(names, rows)
