"""DINO: self-distillation with no labels (DINO study, 3.1)."""

import torch

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.distributed import mean_over_ranks
from ssrl_brain.ema import ema_update_
from ssrl_brain.losses.dino import cosine_consistency


class DINOBrain(SpeakerBrain):
    """The student matches the teacher's distribution over prototypes.

    The teacher sees the first view of the YAML's ``views``, the student the
    others, and the first as well if ``student_sees_global``.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.teacher = self.hparams.teacher

    def compute_forward(self, batch, stage):
        """Embeddings and logits of student and teacher, each (V, B, ...)."""
        batch = self.to_device(batch)
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
        num_shared = len(teacher) if self.hparams.student_sees_global else 0
        loss = self.hparams.dino_loss(
            student_logits,
            teacher_logits,
            self.hparams.teacher_temp(self.fractional_epoch),
            num_shared,
        )
        weight = self.hparams.consistency_weight
        if weight > 0:
            loss = loss + weight * cosine_consistency(student, teacher)
        return loss.mean()

    def adjust_gradients(self):
        """Prototypes stay as they are during the first epoch(s)."""
        if self.epoch <= self.hparams.freeze_prototypes_epochs:
            self.hparams.student.head.prototypes.grad = None

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Moves the centre, then the teacher."""
        teacher_logits = outputs[3]
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
