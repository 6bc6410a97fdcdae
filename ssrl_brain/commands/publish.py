"""Publishes an encoder folder on the Hugging Face hub, with a model card.

    python publish.py --encoder_folder=results/ssrl/ssrl/export \\
        --run_folder=results/ssrl/ssrl --prepared_folder=results/ssrl/prepared \\
        --verify_folder=results/ssrl/ssrl/verify \\
        --repo_id=my-name/my-voices --license=apache-2.0 --dry_run

With --dry_run the card and the list of files are printed and nothing is sent.
Only the files of an encoder are ever uploaded; a folder that holds anything
else, a link, or a text that names a folder of this machine is refused. Log in
once with `hf auth login`, or set HF_TOKEN.
"""

import argparse
import functools
import json
import os
from pathlib import Path

from ssrl_brain.evaluation.tables import with_figures
from ssrl_brain.handover.encoder_folder import encoder_fingerprint
from ssrl_brain.handover.model_card import model_card, thresholds
from ssrl_brain.handover.provenance import (
    describe_data,
    describe_encoder,
    describe_run,
    language_of,
)
from ssrl_brain.handover.publishing import check_folder, publish
from ssrl_brain.handover.run_record import check_run
from ssrl_brain.system.files import read_json


def parser():
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    folder = functools.partial(add, type=os.path.expanduser)
    folder("--encoder_folder", required=True, help="export of any stage")
    add("--repo_id", required=True, help="name/repository on the hub")
    add("--license", required=True, help="of the weights, e.g. apache-2.0")
    folder("--run_folder", help="output folder of train.py: the method")
    folder("--prepared_folder", help="amount of training data")
    add("--data", help="a sentence about the training data")
    add("--language", help="of the speech, e.g. en or en,de")
    folder("--verify_folder", help="output folder of verify.py: the figures")
    add("--private", action="store_true", help="only you can see it")
    add("--dry_run", "--dry-run", action="store_true", help="sends nothing")
    add("--debug", action="store_true", help="errors with their traceback")
    return parser


def main(arguments):
    """Publishes, or says what would be; returns the sizes of the files."""
    options = parser().parse_args(arguments)
    run = options.run_folder and describe_run(options.run_folder)
    if run:
        check_run(options.run_folder, options.encoder_folder)
    data = [options.data] if options.data else []
    if options.prepared_folder:
        data.append(describe_data(options.prepared_folder))
    language = options.language and options.language.split(",")
    if options.prepared_folder and not language:
        language = language_of(options.prepared_folder)
    metrics, choices = read_figures(options)
    check_folder(options.encoder_folder)  # before it is loaded
    card = model_card(
        options.repo_id,
        options.license,
        run,
        " ".join(data),
        metrics,
        choices,
        describe_encoder(options.encoder_folder),
        language,
    )
    texts = {"README.md": card}
    if metrics:
        texts["metrics.json"] = json.dumps(metrics, indent=2) + "\n"
    sizes = publish(
        options.encoder_folder,
        options.repo_id,
        texts,
        options.private,
        options.dry_run,
    )
    if options.dry_run:
        print(card)
        for name, size in sizes.items():
            print(f"{size:>12,} bytes  {name}")
        print(f"Nothing was sent to {options.repo_id}.")
    return sizes


def read_figures(options):
    """(metrics of verify.py, thresholds), or None where there are none."""
    if not options.verify_folder:
        return None, None
    folder = Path(options.verify_folder)
    metrics = read_json(folder / "metrics.json")
    if not metrics:
        raise FileNotFoundError(
            f"{folder} has no metrics.json: give the output folder of verify.py"
        )
    own = encoder_fingerprint(options.encoder_folder)
    if any(figures.get("encoder") != own for figures in metrics.values()):
        raise ValueError(
            f"{folder} was not made with the encoder in "
            f"{options.encoder_folder}: run verify.py again"
        )
    first = with_figures(metrics)
    return metrics, first and thresholds(folder / "scores" / f"{first}.txt")
