#!/usr/bin/env python3
"""Embeds a corpus with an encoder folder, clusters it, writes pseudo labels.

    python pseudo_label.py --data_folder=/data/voxceleb \\
        --encoder_folder=results/dino/1986/export \\
        --label_folder=results/labels --num_clusters=8000

Keys and defaults: hparams/pseudo_label.yaml. The label folder holds
embeddings.npy, centroids.npy, pseudo_labels.csv and source.json; it is either
whole or absent.
"""

import sys
import time
from pathlib import Path

from speechbrain.utils.distributed import (
    if_main_process,
    run_on_main,
)
from speechbrain.utils.logger import get_logger

from ssrl_brain import cli
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.distributed import join_group
from ssrl_brain.handover import write_pseudo_labels
from ssrl_brain.verification import ExportedEncoder

logger = get_logger(__name__)


def main(arguments):
    """Writes the label folder; returns its metrics, {} without speakers."""
    cli.print_help(arguments, __doc__)
    default = Path(__file__).parent / "hparams" / "pseudo_label.yaml"
    hparams_file, run_options, overrides = cli.parse(arguments, str(default))
    join_group(run_options)
    hparams = cli.load(hparams_file, overrides)
    run_on_main(hparams["prepare"])
    table = Utterances.from_csv(hparams["table_csv"])
    if hparams["num_clusters"] > len(table):  # told before hours of work
        raise ValueError(
            f"--num_clusters={hparams['num_clusters']} is more than the "
            f"{len(table)} utterances of {hparams['table_csv']}: lower it"
        )
    encoder = ExportedEncoder(hparams["encoder_folder"], run_options.device)
    started = time.time()
    embeddings = encoder.embed(
        table,
        hparams["data_folder"],
        max_padding=hparams["max_padding"],
        batch_seconds=hparams["batch_seconds"],
        num_workers=hparams["num_workers"],
        progress="embedding",
    )
    metrics = {}
    if if_main_process():
        clusters = hparams["cluster"](embeddings.numpy())
        metrics = hparams["label_metrics"](table, clusters.labels)
        metrics["seconds"] = round(time.time() - started, 1)
        logger.info("Pseudo labels: %s", metrics)
        write_pseudo_labels(
            hparams["label_folder"],
            table,
            clusters,
            embeddings=embeddings,
            source={"seed": hparams["seed"], "metrics": metrics},
        )
    return metrics


if __name__ == "__main__":
    with cli.one_line_errors(sys.argv):
        cli.keep_freed_memory()
        main(sys.argv[1:])
