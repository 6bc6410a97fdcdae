"""Contrastive start (iterative framework, 2.1)."""

from ssrl_brain.brains.speaker import SpeakerBrain


class ContrastiveBrain(SpeakerBrain):
    """Two augmented crops of an utterance attract, other utterances repel."""

    def compute_forward(self, batch, stage):
        """Embeddings (2, B, D) of the two crops."""
        (pair,) = batch.views
        _, embeddings = self.modules.student([self.features(pair)])
        return embeddings.unflatten(0, (2, -1))

    def compute_objectives(self, embeddings, batch, stage):
        """Mean over the batch."""
        return self.hparams.contrastive_loss(*embeddings).mean()
