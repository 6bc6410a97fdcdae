"""Measures a few real batches of a stage; leaves nothing but prepared data.

    python -m ssrl_brain.chains.measure hparams/dino.yaml --data_folder=/data/voxceleb

Takes the command line of train.py and prints one line of JSON: utterances,
hours, epochs, steps, seconds of a step, how many seconds of speech are embedded
in a second, gigabytes of memory, and what it would warn of. Weights are random, and so are pseudo
labels where the stage needs some; --kept=0.4 keeps that share of them.
"""

import contextlib
import json
import logging
import resource
import statistics
import sys
import tempfile
import time

import numpy as np
import torch

from ssrl_brain.chains.built import NO_LOGS
from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.commands import command_line
from ssrl_brain.commands.help import print_help
from ssrl_brain.data.sampler import random_generator
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.embed import embed
from ssrl_brain.handover.label_folder import write_pseudo_labels
from ssrl_brain.system.distributed import on_first_rank
from ssrl_brain.system.process import run

NUM_STEPS = 4  # the first of which also starts the reading processes
NUM_EMBEDDED = 9  # whole utterances, the first of which does not count


def main(arguments):
    """Prints and returns what was measured."""
    print_help(arguments, __doc__)
    own = [x for x in arguments if x.startswith("--kept=")]
    rest = [x for x in arguments if x not in own]
    kept = float(own[-1].partition("=")[2]) if own else 1.0
    hparams_file, run_options, overrides = command_line.parse(rest)
    with warnings_of_stage() as told, tempfile.TemporaryDirectory() as folder:
        overrides |= stand_ins(hparams_file, folder)
        hparams = command_line.load(hparams_file, overrides)
        on_first_rank(hparams["prepare"])
        table = Utterances.from_csv(hparams["table_csv"])
        if "label_folder" in overrides:
            write_random_labels(overrides["label_folder"], table, hparams, kept)
        brain = hparams["brain_class"](
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts=run_options,
        )
        seconds = seconds_of_steps(brain, hparams)
        measured = {
            "utterances": len(brain.train_set),
            "hours": float(table.durations.mean())
            * len(brain.train_set)
            / 3600,
            "epochs": hparams["epoch_counter"].limit,
            "steps": len(brain.train_sampler) * hparams["epoch_counter"].limit,
            "seconds_per_step": seconds,
            "speech_per_second": embedding_speed(brain, table, hparams),
            # of what is clustered, faces included
            "emb_dim": hparams["emb_dim"] + hparams.get("visual_emb_dim", 0),
            "memory_gb": memory_gb(),
            "warnings": told,
        }
    print(json.dumps(measured), flush=True)
    return measured


def stand_ins(hparams_file, folder):
    """Overrides that keep a stage from reading or writing anything else."""
    keys = set(command_line.read_yaml(hparams_file))
    names = {
        "output_folder": folder,
        "encoder_folder": folder,
        "label_folder": f"{folder}/labels",
        "head_label_folder": None,
        **NO_LOGS,
    }
    return {key: value for key, value in names.items() if key in keys}


def write_random_labels(folder, table, hparams, kept):
    """A label folder of the right size."""
    generator = random_generator("measure", hparams["seed"])
    num_clusters = hparams["num_clusters"]
    clusters = Clusters(
        generator.integers(0, num_clusters, len(table)),
        np.eye(num_clusters, hparams["emb_dim"], dtype=np.float32),
        np.zeros(len(table), np.float32),
    )
    keep = generator.permutation(len(table)) < round(kept * len(table))
    write_pseudo_labels(folder, table, clusters, keep)


@contextlib.contextmanager
def warnings_of_stage():
    """Yields a list that takes what this package warns of meanwhile."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    package = logging.getLogger("ssrl_brain")
    package.addHandler(handler)
    try:
        yield messages
    finally:
        package.removeHandler(handler)


class Enough(Exception):
    """Raised inside of training when all is measured."""


def seconds_of_steps(brain, hparams):
    """Median time from the end of one step to that of the next, or None."""
    ends, end_batch = [], brain.on_fit_batch_end

    def timed(*arguments):
        end_batch(*arguments)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ends.append((brain.epoch, time.perf_counter()))
        if len(ends) == NUM_STEPS:
            raise Enough

    brain.on_fit_batch_end = timed
    try:
        brain.fit(
            hparams["epoch_counter"],
            hparams["make_train_set"](),
            progressbar=False,
            train_loader_kwargs=hparams["dataloader_options"],
        )
    except Enough:
        pass
    times = [
        after - before
        for (epoch, before), (same, after) in zip(ends, ends[1:], strict=False)
        if epoch == same
    ]
    return statistics.median(times) if times else None


@torch.no_grad()
def embedding_speed(brain, table, hparams):
    """Seconds of speech that are read and embedded in one second."""
    encode = brain.encode_with(hparams["exported"].encoder)
    generator = random_generator("measure", hparams["seed"])
    rows = generator.permutation(len(table))[:NUM_EMBEDDED]

    def run(rows):
        embed(
            encode,
            table,
            hparams["data_folder"],
            hparams["sample_rate"],
            brain.device,
            rows,
        )

    run(rows[:1])
    started = time.perf_counter()
    run(rows)
    elapsed = time.perf_counter() - started
    return float(table.durations[rows].sum()) / elapsed


def memory_gb():
    """Highest use so far: of the GPU, where there is one, else of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_reserved():
        return torch.cuda.max_memory_reserved() / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 2**30


if __name__ == "__main__":
    run(main)
