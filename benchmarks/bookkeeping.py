#!/usr/bin/env python3
"""Time of what happens between epochs and rounds, at VoxCeleb2's size.

    OMP_NUM_THREADS=2 python benchmarks/bookkeeping.py

The mixture of two Gaussians over all log losses, the gate's metrics,
purification, and the means of all clusters. No corpus is needed.

Then all that SSRL keeps of its utterances in an epoch, in batches of 256 on
one rank: gathering, label queues and their modes, losses, the student's
predictions; and after it the mixture, the clean probabilities and what is
logged without labels. It is compared with an epoch of training: steps of the
student alone (ECAPA-TDNN C=1024, 8,000 clusters, 2 s crops, features given;
no teacher, reading or augmentation), timed on a small batch on the same device
and multiplied by the number of utterances, so the share is an upper limit.

    OMP_NUM_THREADS=1 python benchmarks/bookkeeping.py --rows=1M,10M

Memory and time of the same for other numbers of utterances, of which only so
many steps are made as tell how long one takes. Names and paths of the table
are left out, they take as much as their text.
"""

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from common import (
    number_of,
    peak_bytes,
    report,
    resident_bytes,
    seconds_each,
)
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN, Classifier

from ssrl_brain.clustering.kmeans import Clusters, session_means
from ssrl_brain.clustering.purify import purify
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.label_metrics import right_labels
from ssrl_brain.networks.models import EncoderWithHead
from ssrl_brain.noisy_labels.gmm import (
    clean_probability,
    fit_two_gaussians,
    loss_gate,
)
from ssrl_brain.noisy_labels.histograms import loss_histograms
from ssrl_brain.noisy_labels.memory import LabelQueue, LossMemory
from ssrl_brain.system.distributed import gather_rows


def tasks(num_utterances, num_clusters, num_speakers, dim):
    """Name -> what is to be timed, on random data."""
    generator = np.random.default_rng(0)
    torch_generator = torch.Generator().manual_seed(0)
    log_loss = torch.randn(num_utterances, generator=torch_generator)
    log_loss[: num_utterances // 3] += 2  # modes that overlap fit slowly
    labels = generator.integers(0, num_clusters, num_utterances)
    predictions = generator.permutation(labels)
    speakers = generator.integers(0, num_speakers, num_utterances)
    distances = generator.random(num_utterances, dtype=np.float32)
    embeddings = generator.random((num_utterances, dim), dtype=np.float32)
    clusters = Clusters(labels, None, distances)
    return {
        "mixture": lambda: loss_gate(fit_two_gaussians(log_loss)),
        "gate_metrics": lambda: right_labels(labels, speakers, predictions),
        "purify": lambda: purify(clusters, 0.4, 10),
        "cluster_means": lambda: session_means(embeddings, labels),
    }


class Epoch:
    """What SSRL remembers in an epoch, and at its end."""

    def __init__(self, num_utterances, num_clusters, batch_size, device):
        options = {"device": device, "dtype": torch.int32}
        labels = torch.randint(num_clusters, (num_utterances,), **options)
        self.queue = LabelQueue(labels, length=5).to(device)
        self.memory = LossMemory(num_utterances).to(device)
        # As training goes on, queues agree; new predictions mostly as well.
        self.queue.queue[:, 1:] = labels[:, None]
        self.queue.queue[::10, 3] = self.queue.queue[::10, 3].roll(1)
        self.memory.loss.normal_().exp_()
        order = torch.randperm(num_utterances, **options)
        self.batches = order.split(batch_size)

    def steps(self):
        """All batches, as ``SSRLBrain`` treats them."""
        for index in self.batches:
            index = index.long()
            labels = self.queue.label[index].long()
            _ = self.memory.clean_prob[index] * labels
            found = torch.where(index % 10 > 0, labels, labels.roll(1))
            self.queue.note_student(*gather_rows(index, found))
            self.queue.enqueue(*gather_rows(index, found))
            _ = self.queue.label[index].long()
            self.memory.write(*gather_rows(index, self.memory.loss[index]))

    def end(self):
        """As its ``end_epoch``, without true speakers."""
        log_loss = self.memory.loss.log()
        self.queue.close_epoch()
        loss_histograms(log_loss)
        mixture = fit_two_gaussians(log_loss)
        self.memory.clean_prob = clean_probability(log_loss, mixture)


def training_step(num_clusters, batch_size, device):
    """A function that makes one step of the student."""
    encoder = ECAPA_TDNN(80, channels=[1024] * 4 + [3072], lin_neurons=512)
    head = Classifier(512, out_neurons=num_clusters)
    student = EncoderWithHead(encoder, head).to(device)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-4)
    features = torch.randn(batch_size, 201, 80, device=device)
    labels = torch.randint(num_clusters, (batch_size,), device=device)

    def step():
        _, cosine = student([features])
        torch.nn.functional.cross_entropy(32 * cosine, labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def report_ssrl(options):
    """Seconds of SSRL's memories in an epoch, and their share of it."""
    device, num = options.device, options.utterances
    epoch = Epoch(num, options.clusters, 256, device)
    steps, end = (
        statistics.median(seconds_each(function, 0, options.repeats))
        for function in (epoch.steps, epoch.end)
    )
    step = training_step(options.clusters, options.step_batch, device)
    times = seconds_each(step, warmup=1, repeats=options.repeats)
    training = statistics.median(times) / options.step_batch * num
    report(
        "ssrl_bookkeeping",
        utterances=num,
        where=device,
        seconds_steps=round(steps, 2),
        seconds_epoch_end=round(end, 2),
        seconds_training_epoch=round(training),
        training_epoch_from=f"batches of {options.step_batch}, median of "
        f"{options.repeats}, per utterance times {num}",
        percent_of_training=round(100 * (steps + end) / training, 4),
    )


def report_rows(rows, options):
    """Memory and time of what is kept of so many utterances.

    The table, and SSRL's memories: all that an epoch's end does, and as many
    steps as ``--sample_steps``, whose number in an epoch is proportional.
    """
    before = resident_bytes()
    numbers = np.arange(rows)
    table = Utterances([], [], numbers % 999 + 16000, numbers, numbers // 9)
    del numbers
    batch = 256
    epoch = Epoch(rows, options.clusters, batch, options.device)
    held = resident_bytes() - before
    num_steps = len(epoch.batches)
    epoch.batches = epoch.batches[: options.sample_steps]
    started = time.perf_counter(), time.process_time()
    epoch.steps()
    steps = time.process_time() - started[1]
    started = time.process_time()
    epoch.end()
    end = time.process_time() - started
    report(
        "rows",
        rows=len(table),
        held_mb_per_million=round(held / rows),
        peak_mb_per_million=round((peak_bytes() - before) / rows),
        cpu_ms_a_step=round(1000 * steps / len(epoch.batches), 3),
        steps=num_steps,
        cpu_seconds_epoch_end=round(end, 2),
    )


def report_each(sizes):
    """Each size in a process of its own, for its peak."""
    others = [x for x in sys.argv[1:] if not x.startswith("--rows")]
    for size in sizes:
        command = [sys.executable, sys.argv[0], f"--rows={size}", *others]
        subprocess.run(command, check=True)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--utterances", type=int, default=1_100_000)
    parser.add_argument("--clusters", type=int, default=8000)
    parser.add_argument("--speakers", type=int, default=5994)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--step_batch", type=int, default=8, help="utterances of a timed step"
    )
    parser.add_argument("--rows", help="memory only, of e.g. 10M,100M rows")
    parser.add_argument("--sample_steps", type=int, default=500)
    options = parser.parse_args()
    if options.rows:
        sizes = options.rows.split(",")
        if len(sizes) > 1:
            return report_each(sizes)
        return report_rows(number_of(sizes[0]), options)
    sizes = (options.utterances, options.clusters, options.speakers)
    for name, function in tasks(*sizes, options.dim).items():
        times = seconds_each(function, warmup=1, repeats=options.repeats)
        report(
            name,
            utterances=options.utterances,
            clusters=options.clusters,
            dim=options.dim,
            seconds=round(statistics.median(times), 3),
            seconds_min=round(min(times), 3),
        )
    report_ssrl(options)


if __name__ == "__main__":
    main()
