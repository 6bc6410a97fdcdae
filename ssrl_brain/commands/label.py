"""Embeds a corpus with an encoder folder, clusters it, writes pseudo labels.

    python pseudo_label.py --data_folder=/data/voxceleb \\
        --encoder_folder=results/dino/export \\
        --label_folder=results/labels --num_clusters=8000

Keys and defaults: hparams/pseudo_label.yaml. The label folder holds
embeddings.npy, centroids.npy, pseudo_labels.csv and source.json; it is either
whole or absent. With --num_clusters=auto the embeddings suggest a number; with
--given_label_folder=<label folder> nothing is clustered, and the labels of that
folder get the distances that they have with this encoder.

With --visual_encoder_folder=<export_visual of audio_visual.yaml> and
--frames_folder, speech and faces are clustered together.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger

from ssrl_brain.clustering.kmeans import cluster_sessions, clusters_of_labels
from ssrl_brain.clustering.purify import purify
from ssrl_brain.clustering.suggest import SuggestedClusters
from ssrl_brain.commands import keys
from ssrl_brain.commands.opening import opened
from ssrl_brain.data.frames import Frames
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.rows import BLOCK, ScratchArrays, in_memory
from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)
from ssrl_brain.handover.visual_folder import ExportedVisualEncoder

logger = get_logger(__name__)

WRITTEN = {"label_folder": "labels", "prepared_folder": "prepared"}
NEEDED = ("cluster", "encoder_folder", "label_folder", "label_metrics")
OPTIONS_KEPT = ("seed", "session_means", "drop_fraction", "min_cluster_size")


def main(arguments):
    """Writes the label folder; returns its metrics, few without speakers."""
    default_yaml = "hparams/pseudo_label.yaml"
    with opened(arguments, __doc__, NEEDED, WRITTEN, default_yaml) as command:
        return label(command)


def label(command):
    """What ``main`` does once the folders are its own."""
    hparams = command.hparams
    if not (hparams["encoder_folder"] or hparams["visual_encoder_folder"]):
        keys.refuse_missing(["encoder_folder"], command.hparams_file)
    command.prepare()
    table = Utterances.from_csv(hparams["table_csv"])
    if given := hparams["given_label_folder"]:
        hparams["cluster"] = of_given_labels(given, table)
        hparams["session_means"] = False
    elif hparams["num_clusters"] == "auto":
        hparams["cluster"] = SuggestedClusters(
            hparams["cluster"], hparams["suggest"]
        )
    else:
        check_num_clusters(hparams, table)
    started = time.time()
    scratch = ScratchArrays(Path(hparams["label_folder"]).absolute().parent)
    parts, source = embed_modalities(
        table, hparams, command.run_options, scratch
    )
    metrics = {}
    if if_main_process():
        embeddings = join(parts.values(), scratch)
        clusters, keep = labels_of(embeddings.numpy(), table, hparams)
        metrics = quality(clusters.labels, keep, table, hparams)
        if hparams["compare_modalities"] and len(parts) > 1:
            metrics |= nmi_apart(parts, table, hparams)
        metrics["seconds"] = round(time.time() - started, 1)
        logger.info("Pseudo labels: %s", metrics)
        write_pseudo_labels(
            hparams["label_folder"],
            table,
            clusters,
            keep,
            embeddings=embeddings,
            source={
                **{key: hparams[key] for key in OPTIONS_KEPT},
                **source,
                "suggestion": suggestion(hparams["cluster"]),
                "metrics": metrics,
            },
        )
    return metrics


def embed_modalities(table, hparams, run_options, into):
    """({"audio": (N, D), "visual": (N, D)}, fingerprints of the encoders)

    What has no folder is left out. Only the first rank has embeddings, where
    ``into`` puts them.
    """
    options = {} if run_options.noprogressbar else {"progress": "embedding"}
    options["into"] = into
    how = (run_options.device, hparams["trust_encoder"])
    parts, source = {}, {}
    if hparams["encoder_folder"]:
        encoder = ExportedEncoder(hparams["encoder_folder"], *how)
        parts["audio"] = encoder.embed(
            table,
            hparams["data_folder"],
            max_padding=hparams["max_padding"],
            batch_seconds=hparams["batch_seconds"],
            num_workers=hparams["num_workers"],
            **options,
        )
        source["encoder"] = encoder.fingerprint()
    if hparams["visual_encoder_folder"]:
        visual = ExportedVisualEncoder(hparams["visual_encoder_folder"], *how)
        frames = Frames.from_csv(
            hparams["frames_csv"], hparams["frames_folder"], table.ids
        )
        parts["visual"] = visual.embed(
            frames, num_workers=hparams["num_workers"], **options
        )
        # the embeddings kept are not those of the encoder of speech alone
        source = {
            "encoder": f"{source.get('encoder', '')}+{visual.fingerprint()}"
        }
    return parts, source


def join(parts, make=in_memory):
    """Embeddings (N, D1 + D2) of parts (N, D1), (N, D2), each of length 1.

    DLG-LC, IV-C2. A single part stays as it is.

    Arguments
    ---------
    parts : iterable of torch.Tensor
    make : callable
        From a shape to the array that they are written to.

    Example
    -------
    >>> join([torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])]).tolist()
    [[0.6000000238418579, 0.800000011920929, 0.0, 1.0]]
    """
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    dims = [part.shape[1] for part in parts]
    joined = torch.from_numpy(make((len(parts[0]), sum(dims))))
    for part, place in zip(parts, joined.split(dims, dim=1), strict=True):
        for rows, target in zip(
            part.split(BLOCK), place.split(BLOCK), strict=True
        ):
            target.copy_(F.normalize(rows, dim=1))
    return joined


def nmi_apart(parts, table, hparams):
    """NMI of the clusters of each part alone, {} without known speakers."""
    found = {}
    for name, part in parts.items():
        clusters, _ = labels_of(part.numpy(), table, hparams)
        metrics = hparams["label_metrics"](table, clusters.labels)
        found |= {f"nmi_{name}": x for k, x in metrics.items() if k == "nmi"}
    return found


def of_given_labels(folder, table):
    """A clustering of embeddings into the labels of a label folder."""
    labels = read_pseudo_labels(folder, table).labels
    return partial(clusters_of_labels, labels=labels)


def suggestion(cluster):
    """What a number of clusters was suggested from, as plain values."""
    found = getattr(cluster, "suggestion", None)
    return found and found._asdict()


def check_num_clusters(hparams, table):
    """Refuses more clusters than there is to cluster, before hours of work."""
    what, number = "utterances", len(table)
    if hparams["session_means"]:
        what, number = "sessions", len(np.unique(table.sessions))
    if hparams["num_clusters"] > number:
        raise ValueError(
            f"--num_clusters={hparams['num_clusters']} is more than the "
            f"{number} {what} of {hparams['table_csv']}: lower it"
        )


def labels_of(embeddings, table, hparams):
    """(Clusters, keep (N,) bool) of embeddings (N, D)."""
    if hparams["session_means"]:
        clusters = cluster_sessions(
            embeddings,
            table.sessions,
            hparams["cluster"],
            hparams["spherical"],
        )
    else:
        clusters = hparams["cluster"](embeddings)
    keep = purify(
        clusters, hparams["drop_fraction"], hparams["min_cluster_size"]
    )
    if not keep.any():
        raise ValueError(
            f"no cluster has --min_cluster_size={hparams['min_cluster_size']} "
            f"utterances after --drop_fraction={hparams['drop_fraction']}: "
            "lower one of them, or --num_clusters"
        )
    return clusters, keep


def quality(labels, keep, table, hparams):
    """Metrics of all labels, and of those kept where some are dropped."""
    metrics = {"clusters": len(np.unique(labels))}
    metrics |= hparams["label_metrics"](table, labels)
    if keep.all():
        return metrics
    kept = {"clusters": len(np.unique(labels[keep]))}
    kept |= hparams["label_metrics"](table, np.where(keep, labels, -1))
    metrics |= {f"{key}_kept": value for key, value in kept.items()}
    return {**metrics, "kept": int(keep.sum())}
