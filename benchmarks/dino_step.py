#!/usr/bin/env python3
"""Time of one DINO training step from waveforms in memory.

    OMP_NUM_THREADS=2 python benchmarks/dino_step.py --batch_size=4

Student on all crops (2 x 3 s + 4 x 2 s), teacher on the long ones; features,
loss, backward, clipping, SGD, centre and EMA. ECAPA-TDNN C=512, head
2048-2048-256-65,536. No disk, decoding or augmentation.
"""

import argparse
import statistics
import sys

import torch
from common import ROOT, report, seconds_each

sys.path.insert(0, str(ROOT / "recipes/VoxCeleb/ssrl"))

import speechbrain as sb  # noqa: E402

from ssrl_brain.commands import command_line
from ssrl_brain.data.batches import CropBatch, ViewBatch  # noqa: E402
from ssrl_brain.system.process import keep_freed_memory  # noqa: E402

SETTINGS = {
    "data_folder": "unused",
    "channels": [512, 512, 512, 512, 1536],
    "emb_dim": 192,
    "head_dims": [2048, 2048, 256],
    "student_sees_global": True,
    "freeze_prototypes_epochs": 0,
    "max_grad_norm": 3.0,
}


def make_brain(prototypes, device, precision="fp32", compiled=False):
    """A DINOBrain that is ready for ``fit_batch``."""
    path = str(ROOT / "hparams/dino.yaml")
    settings = {**SETTINGS, "num_prototypes": prototypes}
    hparams = command_line.load(path, settings)
    compiling = ["--compile", "--compile_module_keys=student"] * compiled
    _, options, _ = sb.parse_arguments(
        [path, f"--device={device}", f"--precision={precision}", *compiling]
    )
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=options,
    )
    brain.teacher.to(device)
    brain.train_sampler = [None] * 1000
    brain.epoch = 2
    brain.make_state()
    brain._compile()
    brain.init_optimizers()
    brain.modules.train()
    return brain


def make_batch(batch_size):
    """2 x 3 s and 4 x 2 s of noise per utterance, as a ``CropBatch``."""
    return CropBatch(
        torch.arange(batch_size),
        (
            ViewBatch(torch.randn(batch_size, 2, 48000)),
            ViewBatch(torch.randn(batch_size, 4, 32000)),
        ),
    )


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--prototypes", type=int, default=65536)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", help="or bf16, fp16")
    parser.add_argument(
        "--profile", action="store_true", help="print where the time goes"
    )
    options = parser.parse_args()
    keep_freed_memory()
    brain = make_brain(options.prototypes, options.device, options.precision)
    batch = make_batch(options.batch_size)

    def step():
        brain.step += 1
        brain.fit_batch(batch)

    if options.profile:
        step()
        with torch.profiler.profile() as profile:
            step()
        print(
            profile.key_averages().table(
                sort_by="self_cpu_time_total", row_limit=25
            )
        )
    times = seconds_each(step, warmup=2, repeats=options.repeats)
    report(
        "dino_step",
        batch_size=options.batch_size,
        prototypes=options.prototypes,
        precision=options.precision,
        seconds=round(statistics.median(times), 3),
        seconds_min=round(min(times), 3),
    )


if __name__ == "__main__":
    main()
