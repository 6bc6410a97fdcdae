#!/usr/bin/env python3
"""Scores trial lists with an encoder folder: EER and minDCF.

    python verify.py --data_folder=/data/voxceleb1 \\
        --trial_lists=veri_test2.txt,list_test_hard2.txt \\
        --encoder_folder=results/ssrl/1986/export --output_folder=results/verify

Keys and defaults: hparams/verify.yaml. Scores are cosines of whole-utterance
embeddings. Written to the output folder: metrics.json, and for every list
scores/<list>.txt with lines "score label enrolment test".
"""

import sys
from pathlib import Path

import numpy as np
from speechbrain.utils.distributed import (
    if_main_process,
    run_on_main,
)
from speechbrain.utils.logger import get_logger

from ssrl_brain import cli
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.distributed import join_group
from ssrl_brain.files import write_json, write_text
from ssrl_brain.metrics import score_trials, verification_metrics
from ssrl_brain.verification import ExportedEncoder, load_trials, trial_lists

logger = get_logger(__name__)


def main(arguments):
    """Scores all prepared lists; returns metrics by name of the list."""
    cli.print_help(arguments, __doc__)
    default = Path(__file__).parent / "hparams" / "verify.yaml"
    hparams_file, run_options, overrides = cli.parse(arguments, str(default))
    join_group(run_options)
    hparams = cli.load(hparams_file, overrides)
    run_on_main(hparams["prepare"])
    lists = trial_lists(hparams["prepared_folder"])
    if not lists:
        raise ValueError("no trial list: give --trial_lists=/path/to/list.txt")
    table = Utterances.from_csv(Path(hparams["prepared_folder"]) / "test.csv")
    encoder = ExportedEncoder(
        hparams["encoder_folder"],
        run_options.device,
        hparams["trust_encoder"],
    )
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
        folder = Path(hparams["output_folder"])
        for path in lists:
            trials = load_trials(path, table)
            scores = score_trials(embeddings, trials.enrol, trials.test)
            metrics[path.stem] = verification_metrics(scores, trials.labels)
            write_scores(folder / "scores" / path.name, scores, trials, table)
            logger.info("%s: %s", path.stem, metrics[path.stem])
        write_json(folder / "metrics.json", metrics)
    return metrics


def write_scores(path, scores, trials, table):
    """One line per trial: "score label enrolment test"."""
    lines = (
        f"{score:.6f} {label} {table.ids[e]} {table.ids[t]}\n"
        for score, label, e, t in zip(
            np.asarray(scores).tolist(),
            trials.labels.tolist(),
            trials.enrol.tolist(),
            trials.test.tolist(),
            strict=True,
        )
    )
    write_text(path, "".join(lines))


if __name__ == "__main__":
    with cli.one_line_errors(sys.argv):
        cli.keep_freed_memory()
        main(sys.argv[1:])
