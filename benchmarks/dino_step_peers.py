#!/usr/bin/env python3
"""Time of one DINO step of other toolkits, and of ours.

    git clone https://github.com/wenet-e2e/wespeaker
    git clone https://github.com/theolepage/sslsv
    OMP_NUM_THREADS=2 python benchmarks/dino_step_peers.py --batch_size=4 \\
        --wespeaker=wespeaker --sslsv=sslsv

The same work in each: ECAPA-TDNN C=512, head 2048-2048-256-65,536, student on
2 x 3 s + 4 x 2 s, teacher on the long ones, loss, backward, clipping, SGD,
centre and EMA, by the toolkit's own modules in the order of its training
loop. WeSpeaker makes its features in the data loader, outside of this time;
sslsv's (here with 80 bands) and ours are made inside. Each toolkit runs in a
process of its own, in turns. All keep freed memory, as our train.py does.

With `--precision=bf16` forward pass and loss of each are inside of autocast,
as they are in the loops of all three when mixed precision is asked for.
`compiled_bf16` is ours alone, for the loops of the others do not compile.
"""

import argparse
import importlib
import itertools
import statistics
import subprocess
import sys
import time
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import torch
from common import report, seconds_each
from dino_step import make_batch, make_brain

from ssrl_brain.system.process import keep_freed_memory

NUM_PROTOTYPES = 65536
CLIP = 3.0


def import_from(folder, package, module):
    """A module of a cloned repository, without what its package imports.

    Loggers and plotting libraries that it names but that a step does not
    need are replaced by empty modules.
    """
    root = types.ModuleType(package)
    root.__path__ = [str(Path(folder) / package)]
    sys.modules[package] = root
    while True:
        try:
            return importlib.import_module(f"{package}.{module}")
        except ModuleNotFoundError as error:
            if error.name.startswith(package):
                raise
            print(f"without {error.name}", file=sys.stderr)
            empty = types.ModuleType(error.name)
            empty.__spec__ = ModuleSpec(error.name, None)
            sys.modules[error.name] = empty


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.2, momentum=0.9, weight_decay=5e-5)


def autocast(precision):
    """Around a forward pass and its loss."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def wespeaker_step(folder, batch_size, precision):
    """One iteration of wespeaker/ssl/utils/dino_executor.py."""
    ecapa = import_from(folder, "wespeaker", "models.ecapa_tdnn")
    dino = import_from(folder, "wespeaker", "ssl.models.dino_wrapper")
    utils = import_from(folder, "wespeaker", "ssl.utils.dino_utils")
    torch.distributed.init_process_group(
        "gloo", init_method="tcp://127.0.0.1:29555", rank=0, world_size=1
    )
    encoder = ecapa.ECAPA_TDNN_GLOB_c512(
        feat_dim=80, embed_dim=192, pooling_func="ASTP", emb_bn=True
    )
    model = dino.DINO(
        encoder,
        {"in_dim": 192, "out_dim": NUM_PROTOTYPES, "use_bn": True},
        {
            "out_dim": NUM_PROTOTYPES,
            "n_scrops": 6,
            "n_tcrops": 2,
            "warmup_teacher_temp": 0.04,
            "teacher_temp": 0.07,
            "nepochs": 150,
        },
        sync_bn=False,  # does not exist on a CPU
    )
    optimizer = sgd(p for p in model.parameters() if p.requires_grad)
    long = torch.randn(2 * batch_size, 300, 80)
    short = torch.randn(4 * batch_size, 200, 80)

    def step():
        with autocast(precision):
            loss = model(short, long, 1)
        loss.item()
        optimizer.zero_grad()
        loss.backward()
        utils.clip_gradients(model, CLIP)
        utils.cancel_gradients_last_layer(1, model.s_model, 1)
        optimizer.step()
        model.ema_update(0.996)

    return step


def sslsv_step(folder, batch_size, precision):
    """One iteration of sslsv/trainer/Trainer.py."""
    dino = import_from(folder, "sslsv", "methods.DINO.DINO")
    ecapa = import_from(folder, "sslsv", "encoders.ECAPATDNN")
    config = ecapa.ECAPATDNNConfig(encoder_dim=192, mel_n_mels=80)
    method = dino.DINO(dino.DINOConfig(), lambda: ecapa.ECAPATDNN(config))
    method.current_epoch = method.loss_fn.epoch = 1
    method.train()
    optimizer = sgd(
        p for g in method.get_learnable_params() for p in g["params"]
    )
    long = torch.randn(2 * batch_size, 48000)
    short = torch.randn(4 * batch_size, 32000)

    def step():
        with autocast(precision):
            teacher = method.head_momentum(method.encoder_momentum(long))
            student = torch.cat(
                [
                    method.head(method.encoder(long)),
                    method.head(method.encoder(short)),
                ]
            )
            loss, _ = method.loss_fn(student, teacher)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        method.on_after_backward()
        optimizer.step()
        for pair in method.get_momentum_pairs():
            method.momentum_updater.update(*pair)

    return step


def our_step(folder, batch_size, precision):
    """As in dino_step.py."""
    compiled, _, precision = precision.rpartition("_")
    brain = make_brain(NUM_PROTOTYPES, "cpu", precision, bool(compiled))
    batch = make_batch(batch_size)

    def step():
        brain.step += 1
        brain.fit_batch(batch)

    return step


STEPS = {
    "ssrl_brain": our_step,
    "wespeaker": wespeaker_step,
    "sslsv": sslsv_step,
}


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--wespeaker", help="folder of its repository")
    parser.add_argument("--sslsv", help="folder of its repository")
    parser.add_argument(
        "--precision", default="fp32,bf16,compiled_bf16", help="or some of them"
    )
    parser.add_argument("--only", choices=STEPS, help="in this process")
    options = parser.parse_args()
    if options.only is None:
        folders = {"ssrl_brain": ".", **vars(options)}
        names = [name for name in STEPS if folders[name]]
        turns = itertools.product(
            range(options.rounds), options.precision.split(","), names
        )
        for _, precision, name in turns:
            if precision.startswith("compiled") and name != "ssrl_brain":
                continue
            own = [f"--only={name}", f"--precision={precision}"]
            command = [sys.executable, *sys.argv, *own]
            subprocess.run(command, check=True)
        return
    keep_freed_memory()
    step = STEPS[options.only](
        vars(options).get(options.only), options.batch_size, options.precision
    )
    times, cpu = [], []
    for _ in range(options.repeats + 2):  # two to warm up
        started = time.process_time()
        times += seconds_each(step, warmup=0, repeats=1)
        cpu.append(time.process_time() - started)
    report(
        "dino_step_peers",
        toolkit=options.only,
        precision=options.precision,
        batch_size=options.batch_size,
        seconds=round(statistics.median(times[2:]), 3),
        seconds_min=round(min(times[2:]), 3),
        cpu_seconds=round(statistics.median(cpu[2:]), 3),
    )


if __name__ == "__main__":
    main()
