"""DINO: self-distillation with no labels (DINO study, 3.1)."""

import time

import torch
from speechbrain.utils.logger import get_logger

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.evaluation.probing import probe, top_two
from ssrl_brain.losses.dino import cosine_consistency
from ssrl_brain.networks.ema import ema_update_
from ssrl_brain.system.distributed import mean_over_ranks, rank
from ssrl_brain.training.health import TrainingHealth, batch_statistics
from ssrl_brain.training.optim import decay_groups

logger = get_logger(__name__)


class DINOBrain(SpeakerBrain):
    """The student matches the teacher's distribution over prototypes.

    The teacher sees the first view of the YAML's ``views``, the student the
    others, and the first as well if ``student_sees_global``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.teacher = self.hparams.teacher

    def make_state(self):
        """The centre on the device, and what is watched during an epoch."""
        self.hparams.dino_loss.to(self.device)  # before it is recovered
        num_prototypes = len(self.hparams.dino_loss.center)
        self.remember("health", TrainingHealth(num_prototypes))

    def parameter_groups(self):
        """Weight decay spares biases and norms unless ``decay_biases``."""
        parameters = super().parameter_groups()
        if self.hparams.decay_biases:
            return parameters
        return decay_groups(parameters)

    def compute_forward(self, batch, stage):
        """Embeddings and logits of student and teacher, each (V, B, ...)."""
        views = [self.features(view) for view in batch.views]
        seen = views if self.hparams.student_sees_global else views[1:]
        student = self.modules.student(seen)
        self.teacher.train(self.hparams.teacher_train_mode)
        with torch.no_grad():
            teacher = self.teacher(views[:1])
        batch_size = len(batch.index)
        return [x.unflatten(0, (-1, batch_size)) for x in (*student, *teacher)]

    def compute_objectives(self, outputs, batch, stage):
        """Distillation plus consistency, mean over the batch."""
        student, student_logits, teacher, teacher_logits = outputs
        num_global = len(teacher) if self.hparams.student_sees_global else 0
        if not self.hparams.pair_global_views:  # CA eq. 2
            student_logits, num_global = student_logits[num_global:], 0
        loss = self.hparams.dino_loss(
            student_logits,
            teacher_logits,
            self.hparams.teacher_temp(self.fractional_epoch),
            num_global,
        )
        self.cross_entropy = loss.detach()  # (B,), for the health report
        weight = self.hparams.consistency_weight
        if weight > 0:
            # CA eq. 5 adds two sums; dino_loss is the first as a mean.
            num_pairs = len(teacher) * len(student_logits) - num_global
            consistency = cosine_consistency(student, teacher) / num_pairs
            loss = loss + weight * consistency
        return loss.mean()

    def adjust_gradients(self):
        """Prototypes stay as they are during the first epoch(s).

        Without a gradient they see neither momentum nor weight decay.
        """
        if self.epoch <= self.hparams.freeze_prototypes_epochs:
            self.hparams.student.head.prototypes.grad = None

    @torch.no_grad()
    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Takes notes, moves the centre, then the teacher."""
        _, _, teacher, teacher_logits = outputs
        targets = self.hparams.dino_loss.targets(
            teacher_logits, self.hparams.teacher_temp(self.fractional_epoch)
        )
        self.health.add(
            mean_over_ranks(
                batch_statistics(targets, self.cross_entropy, teacher)
            )
        )
        self.hparams.dino_loss.update_center(
            mean_over_ranks(teacher_logits.mean((0, 1)))
        )
        if should_step:  # after the optimizer, never between accumulations
            ema_update_(
                self.teacher,
                self.hparams.student,
                self.hparams.ema_momentum(self.fractional_epoch),
                buffers=not self.hparams.teacher_train_mode,
            )

    def end_epoch(self, epoch):
        """Health of the epoch and, when it is time, a probe."""
        record = self.health.close_epoch()
        record["center_norm"] = self.hparams.dino_loss.center.norm().item()
        if "warning" in record and rank() == 0:
            logger.warning("Epoch %d: %s", epoch, record["warning"])
        every, last = self.hparams.probe_every, self.hparams.epoch_counter.limit
        if every > 0 and (epoch % every == 0 or epoch == last):
            record |= self.probe()
        return record

    def probe(self):
        """How well prototypes tell speakers apart; {} if none are known."""
        started = time.time()
        speakers = self.hparams.label_metrics.speakers_of(
            self.train_set.utterances
        )
        if speakers is None:
            return {}
        self.teacher.eval()
        encode = self.encode_with(self.teacher.encoder)

        def likeliest(wave, lengths):
            logits = self.teacher.head(encode(wave, lengths)).flatten(1)
            return top_two(logits, self.hparams.dino_loss.center)

        record = probe(self.embed_corpus(likeliest), speakers)
        record["probe_seconds"] = round(time.time() - started, 2)
        return record

    def embed_corpus(self, encode):
        """(N, ...) results of ``encode`` for whole training utterances."""
        return self.hparams.embed(
            encode,
            self.train_set.utterances,
            device=self.device,
            progress=None if self.noprogressbar else "embedding",
        )
