"""Contrastive start (iterative framework, 2.1)."""

import numpy as np
from speechbrain.utils.logger import get_logger

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.data.crops import share_alike

logger = get_logger(__name__)


class ContrastiveBrain(SpeakerBrain):
    """Two augmented crops of an utterance attract, other utterances repel."""

    def make_state(self):
        """Tells of crops that are alike because utterances are short."""
        durations = self.train_set.utterances.durations
        (pair,) = self.train_set.views
        seconds = pair.seconds.mean()
        share = share_alike(durations, seconds)
        if share > 0.5:
            logger.warning(
                "In %.0f %% of the utterances two crops of %.3g s share most "
                "of their audio, which tells that they belong together "
                "better than the voice does: --crop_seconds=%.2g leaves the "
                "median utterance room for two",
                100 * share,
                seconds,
                np.median(durations) / 2,
            )

    def compute_forward(self, batch, stage):
        """Embeddings (2, B, D) of the two crops."""
        (pair,) = batch.views
        _, embeddings = self.modules.student([self.features(pair)])
        return embeddings.unflatten(0, (2, -1))

    def compute_objectives(self, embeddings, batch, stage):
        """Mean over the batch."""
        return self.hparams.contrastive_loss(*embeddings).mean()
