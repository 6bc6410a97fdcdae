#!/usr/bin/env python3
"""Steps of DINO and SSRL in float32, bfloat16 autocast, compiled, and both.

    OMP_NUM_THREADS=1 python benchmarks/precision.py --stage=dino --width=512

All variants live in one process and take turns, A B C D A B C D, so that what
else the machine does hits them alike; medians over the rounds. `cpu_seconds`
are those that the process was given, which on a busy machine say more than
seconds of the clock. Waveforms are in memory, features are made inside.

DINO is the step of `dino_step.py` (2 x 3 s + 4 x 2 s, 65,536 prototypes); SSRL
has a student on 2 s and a teacher on 6 s, and 8,000 clusters.
"""

import argparse
import statistics
import sys
import time

import torch
from common import ROOT, report
from dino_step import SETTINGS, make_batch

sys.path.insert(0, str(ROOT / "recipes/VoxCeleb/ssrl"))

import speechbrain as sb  # noqa: E402

from ssrl_brain.commands import command_line  # noqa: E402
from ssrl_brain.data.batches import CropBatch, ViewBatch  # noqa: E402
from ssrl_brain.data.sampler import EpochBatchSampler  # noqa: E402
from ssrl_brain.noisy_labels.memory import (  # noqa: E402
    LabelQueue,
    LossMemory,
)
from ssrl_brain.system.process import keep_freed_memory  # noqa: E402

pinned = torch.utils.data._utils.pin_memory.pin_memory

VARIANTS = {
    "fp32": [],
    "bf16": ["--precision=bf16"],
    "compiled": ["--compile_module_keys=student", "--compile"],
    "compiled_bf16": [
        "--precision=bf16",
        "--compile_module_keys=student",
        "--compile",
    ],
}
NUM_UTTERANCES = 10_000


def make_brain(stage, options, arguments):
    """A Brain that is ready for ``fit_batch``."""
    path = str(ROOT / f"hparams/{stage}.yaml")
    settings = {
        **(SETTINGS if stage == "dino" else {"label_folder": "unused"}),
        "channels": [options.width] * 4 + [3 * options.width],
        "emb_dim": 192 if options.width <= 512 else 512,
        "data_folder": "unused",
    }
    if stage == "dino":
        settings["num_prototypes"] = options.outputs or 65536
    else:
        settings["num_clusters"] = options.outputs or 8000
        settings["encoder_folder"] = "unused"
    hparams = command_line.load(path, settings)
    _, run_options, _ = sb.parse_arguments(
        [path, f"--device={options.device}", *arguments]
    )
    torch.manual_seed(0)
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_options,
    )
    brain.train_sampler = EpochBatchSampler(NUM_UTTERANCES, 10, seed=0)
    brain.epoch = 2
    brain.teacher.to(options.device)
    if stage == "dino":
        brain.make_state()
    else:
        labels = torch.arange(NUM_UTTERANCES) % settings["num_clusters"]
        brain.remember("label_queue", LabelQueue(labels, 5))
        brain.remember("loss_memory", LossMemory(NUM_UTTERANCES))
        brain.remember("assignment", hparams["assignment"])
    brain._compile()
    brain.init_optimizers()
    brain.modules.train()
    return brain


def ssrl_batch(batch_size):
    """2 s and 6 s of noise per utterance."""
    crops = (torch.randn(batch_size, 1, n * 16000) for n in (2, 6))
    index = torch.arange(batch_size)
    return CropBatch(index, tuple(ViewBatch(x) for x in crops))


def timed(brain, batch):
    """(seconds, CPU seconds, loss) of a step."""
    brain.step += 1
    clock, cpu = time.perf_counter(), time.process_time()
    loss = brain.fit_batch(batch)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    cpu = time.process_time() - cpu
    return time.perf_counter() - clock, cpu, loss.item()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", default="dino", choices=["dino", "ssrl"])
    parser.add_argument("--width", type=int, default=512, help="of ECAPA-TDNN")
    parser.add_argument("--outputs", type=int, help="prototypes or clusters")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), help="comma-separated"
    )
    options = parser.parse_args()
    keep_freed_memory()
    make = make_batch if options.stage == "dino" else ssrl_batch
    batch = make(options.batch_size)
    if options.device != "cpu":  # as the data loader does
        batch = pinned(batch)
    names = options.variants.split(",")
    brains = {n: make_brain(options.stage, options, VARIANTS[n]) for n in names}
    warmup = {name: timed(brains[name], batch)[1] for name in names}
    rounds = []
    for number in range(options.rounds + 1):
        found = {name: timed(brains[name], batch) for name in names}
        if number:  # the first allocates
            rounds.append(found)
    for name in names:
        seconds, cpu, losses = zip(*(r[name] for r in rounds), strict=True)
        ratios = [r[names[0]][1] / r[name][1] for r in rounds]
        report(
            f"{options.stage}_precision",
            variant=name,
            width=options.width,
            batch_size=options.batch_size,
            rounds=options.rounds,
            seconds=round(statistics.median(seconds), 3),
            cpu_seconds=round(statistics.median(cpu), 3),
            cpu_seconds_first_step=round(warmup[name], 1),
            times_faster=round(statistics.median(ratios), 2),
            last_loss=round(losses[-1], 4),
        )


if __name__ == "__main__":
    main()
