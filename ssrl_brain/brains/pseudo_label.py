"""Training on pseudo labels that stay as they are (iterative, 2.3)."""

import torch

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.handover.label_folder import read_pseudo_labels


class PseudoLabelBrain(SpeakerBrain):
    """One crop of each utterance that purification kept, and its label."""

    def make_dataloader(self, dataset, stage, **loader_kwargs):
        """Batches of the utterances that purification kept."""
        folder = read_pseudo_labels(
            self.hparams.label_folder, dataset.utterances
        )
        dataset = dataset.labelled(folder.labels, folder.keep)
        return super().make_dataloader(dataset, stage, **loader_kwargs)

    def make_state(self):
        """The labels, on the device."""
        self.labels = torch.from_numpy(self.train_set.labels).to(self.device)

    def compute_forward(self, batch, stage):
        """Output (B, K) of the classifier."""
        _, logits = self.modules.student([self.features(batch.views[0])])
        return logits

    def compute_objectives(self, logits, batch, stage):
        """Mean over the batch."""
        labels = self.labels[batch.index]
        return self.hparams.margin_loss(logits, labels).mean()

    def end_epoch(self, epoch):
        """Tells the learning rate how training gets on."""
        self.hparams.lr_schedule.observe(self.avg_train_loss)
        return {}
