"""Self-supervised reflective learning (SSRL, Algorithm 1)."""

import logging

import numpy as np
import torch

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.clustering.kmeans import Clusters
from ssrl_brain.handover.label_folder import (
    read_pseudo_labels,
    write_pseudo_labels,
)
from ssrl_brain.losses.margin import cross_entropy
from ssrl_brain.networks import ema
from ssrl_brain.noisy_labels.gmm import clean_probability, fit_two_gaussians
from ssrl_brain.noisy_labels.histograms import loss_histograms
from ssrl_brain.noisy_labels.memory import LabelQueue, LossMemory
from ssrl_brain.system.distributed import gather_rows

logger = logging.getLogger(__name__)


class SSRLBrain(SpeakerBrain):
    """A teacher renews the labels that its student learns from.

    The first of the YAML's ``views`` is the student's, short and augmented;
    the second the teacher's, long and clean.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.teacher = self.hparams.teacher

    def make_state(self):
        """Line 4 and 5: empty queues, every label taken for clean."""
        table = self.train_set.utterances
        folder = read_pseudo_labels(self.hparams.label_folder, table)
        self.initial_labels = folder.labels
        labels = torch.from_numpy(folder.labels)
        self.remember(
            "label_queue", LabelQueue(labels, self.hparams.label_queue_length)
        )
        self.remember("loss_memory", LossMemory(len(table)))
        self.remember("assignment", self.hparams.assignment)

    def starting_labels(self):
        """Those of the label folder; the queue has others by and by."""
        return self.initial_labels

    @property
    def is_reflective(self):
        """False during the first epochs on fixed labels (line 2)."""
        return self.epoch > self.hparams.fixed_label_epochs

    def compute_forward(self, batch, stage):
        """Cosines (B, K) of the student (lines 8 to 11)."""
        _, logits = self.modules.student([self.features(batch.views[0])])
        return logits

    def compute_objectives(self, logits, batch, stage):
        """Line 12, with labels and weights from before this batch."""
        index = batch.index
        labels = self.label_queue.label[index].long()
        loss = self.hparams.margin_loss(logits, labels)
        return (self.loss_memory.clean_prob[index] * loss).mean()

    @torch.no_grad()
    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Relabels with the teacher, then moves it (14 to 24)."""
        self.label_queue.note_student(
            *gather_rows(batch.index, outputs.argmax(-1))
        )
        if not self.is_reflective:
            return
        self.relabel(batch)
        if should_step:  # after the optimizer, never between accumulations
            ema.ema_update_(
                self.teacher,
                self.hparams.student,
                self.hparams.ema_momentum(self.reflective_epoch),
            )

    def relabel(self, batch):
        """New labels, and how the teacher likes them (14 to 20).

        Not those of this batch, but all that the assignment has ready; their
        losses are of the posteriors that the labels were made of.
        """
        self.teacher.eval()
        with self.training_ctx:
            _, logits = self.teacher([self.features(batch.views[1])])
        log_probs = self.hparams.margin_loss.logits(logits).log_softmax(-1)

        index, labels, log_probs = self.assignment(
            batch.index, log_probs, self.train_sampler.rest(self.step)
        )
        self.label_queue.enqueue(*gather_rows(index, labels))

        corrected = self.label_queue.label[index].long()
        teacher_loss = cross_entropy(log_probs, corrected)
        self.loss_memory.write(*gather_rows(index, teacher_loss))

    @property
    def reflective_epoch(self):
        """Fractional epoch counted from the first reflective one."""
        return self.fractional_epoch - self.hparams.fixed_label_epochs

    def end_epoch(self, epoch):
        """Tells of the labels, and models their noise (lines 27 and 28)."""
        table, labels = self.train_set.utterances, self.label_queue.label.cpu()
        record = self.label_queue.close_epoch()
        record |= self.hparams.label_metrics(table, labels)
        if not self.is_reflective:
            ema.copy_(self.teacher, self.hparams.student)  # line 3
            return record
        right = self.hparams.label_metrics.right(table, labels)
        losses = self.hparams.loss_axis.of(self.loss_memory.loss)
        record |= loss_histograms(losses, right)
        return record | self.model_noise(losses, epoch)

    def model_noise(self, losses, epoch):
        """Fits the mixture and renews the clean probabilities."""
        memory, record = self.loss_memory, {}
        record["loss_axis"] = self.hparams.loss_axis.label
        mixture = fit_two_gaussians(losses)
        if mixture is not None:
            record["mixture"] = [x.tolist() for x in mixture]
        elif self.hparams.use_clean_prob:
            logger.warning(
                "No mixture fits the losses of epoch %d: all labels count as "
                "clean",
                epoch,
            )
        if self.hparams.use_clean_prob:
            memory.clean_prob = clean_probability(
                losses, mixture, self.hparams.monotone_clean_prob
            ).to(memory.clean_prob)
        record["clean_prob"] = float(memory.clean_prob.mean())
        return record

    def export(self, folder):
        """Writes the encoder folder, and the labels as a label folder."""
        super().export(folder)
        table = self.train_set.utterances
        loss = self.loss_memory.loss.nan_to_num(0.0).cpu().numpy()
        clusters = Clusters(
            self.label_queue.label.cpu().numpy().astype(np.int64),
            self.teacher.head.weight.detach().cpu().numpy(),
            loss,
        )
        write_pseudo_labels(
            self.hparams.exported_label_folder,
            table,
            clusters,
            source={"stage": "SSRL"},
        )
