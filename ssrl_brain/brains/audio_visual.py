"""Dynamic loss gate and label correction with faces (DLG-LC, IV-C)."""

import copy
from pathlib import Path

import torch

from ssrl_brain.brains.dlg_lc import close_gate, finite
from ssrl_brain.brains.pseudo_label import PseudoLabelBrain
from ssrl_brain.evaluation.case_metrics import MODALITIES
from ssrl_brain.handover.export import export_visual_encoder
from ssrl_brain.noisy_labels.memory import CaseMemory
from ssrl_brain.system.distributed import gather_rows
from ssrl_brain.training.checkpoints import refuse_nonfinite


class AudioVisualBrain(PseudoLabelBrain):
    """Two networks that decide together which labels to learn, and learn apart.

    The first of the YAML's ``views`` and of its ``image_views`` is clean and
    decides, the second is augmented and learns.
    """

    def make_state(self):
        """The labels, a gate for each modality, and what is recorded."""
        super().make_state()
        for name in MODALITIES:
            self.remember(f"{name}_gate", copy.deepcopy(self.hparams.gate))
        self.gates = [getattr(self, f"{name}_gate") for name in MODALITIES]
        memory = CaseMemory(len(self.labels), len(MODALITIES))
        self.remember("case_memory", memory)

    def compute_forward(self, batch, stage):
        """Outputs (2, B, K) of the classifiers for both views."""
        batch = self.to_device(batch)
        pairs = zip(batch.views, batch.images, strict=True)
        clean, augmented = (
            (self.features(view), images) for view, images in pairs
        )
        with torch.no_grad():  # they are gates and targets
            clean = self.modules.student(*clean)
        return clean, self.modules.student(*augmented)

    def compute_objectives(self, outputs, batch, stage):
        """Sum over modalities; those dropped count as zero in the mean."""
        index = batch.index.to(self.device)
        gates = torch.stack([gate.value for gate in self.gates])
        joint = self.hparams.dlg_lc_loss(*outputs, self.labels[index], gates)
        self.case_memory.write(
            *gather_rows(
                index, joint.clean_loss.T, joint.prediction.T, joint.case.T
            )
        )
        return joint.loss.sum(0).mean()

    def end_epoch(self, epoch):
        """Sets both gates of the next epoch, each by its own mixture."""
        memory = self.case_memory
        values = torch.stack([gate.value for gate in self.gates])
        table, labels = self.train_set.utterances, self.train_set.labels
        found = memory.prediction, memory.case, memory.loss < values
        record = self.hparams.gate_metrics(
            table, labels, *(tensor.cpu().numpy() for tensor in found)
        )
        right = self.hparams.gate_metrics.right(table, labels)
        axis = self.hparams.loss_axis
        for number, name in enumerate(MODALITIES):
            gate, loss = self.gates[number], memory.loss[:, number]
            closed = {"gate": finite(values[number])}
            closed |= close_gate(gate, axis, loss, epoch, right)
            record |= {f"{key}_{name}": x for key, x in closed.items()}
        return record

    def networks(self):
        """Clipped apart: a gradient of one does not scale the other's."""
        student = self.hparams.student
        return [student.audio, student.visual]

    def export(self, folder):
        """Writes the audio encoder, and beside it the visual one."""
        super().export(folder)
        stage_yaml = Path(self.hparams.output_folder) / "hyperparams.yaml"
        encoder = self.hparams.student.visual.encoder
        refuse_nonfinite(encoder.state_dict(), self.checkpointer)
        export_visual_encoder(
            self.hparams.visual_export_folder,
            encoder,
            stage_yaml.read_text(encoding="utf-8"),
        )
