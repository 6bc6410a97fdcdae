"""Fine-tuning with labels (DINO study, 5.3; cluster-aware DINO, VI-B)."""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger

from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.clustering.kmeans import session_means
from ssrl_brain.evaluation.embed import embed
from ssrl_brain.networks.models import load_centroids_
from ssrl_brain.system.files import write_text

logger = get_logger(__name__)


class FinetuneBrain(SpeakerBrain):
    """A classifier of true speakers: the ONLY stage that may read them.

    It trains on the labelled utterances alone. Their IDs are written to
    ``labelled_utterances.txt`` of the output folder.
    """

    reads_speakers = True

    def make_dataloader(self, dataset, stage, **loader_kwargs):
        """Batches of the labelled utterances."""
        table = dataset.utterances
        rows, speakers = self.hparams.labelled(table)
        self.num_speakers = int(speakers.max()) + 1  # all of which occur
        self.speakers = torch.from_numpy(speakers).to(self.device)
        dataset.utterances = table.subset(rows)
        logger.warning(
            "Fine-tuning learns from true speakers (no other stage does): "
            "%d speakers of %d of the %d training utterances",
            self.num_speakers,
            len(rows),
            len(table),
        )
        return super().make_dataloader(dataset, stage, **loader_kwargs)

    def table_fingerprint(self):
        """Identity of the labelled utterances and of their speakers."""
        speakers = self.speakers.cpu().numpy().tobytes()
        found = super().table_fingerprint().encode()
        return hashlib.sha256(found + speakers).hexdigest()

    def make_state(self):
        """A new classifier, as wide as there are labelled speakers."""
        head = self.hparams.make_head(out_neurons=self.num_speakers)
        self.hparams.student.head = head
        if self.hparams.encoder_folder and self.hparams.head_at_means:
            load_centroids_(head, self.speaker_means())
        self.remember("head", head)

    def speaker_means(self):
        """Mean embedding (K, D) of each labelled speaker, of length one."""
        embeddings = embed(
            self.encode_with(self.hparams.student.encoder),
            self.train_set.utterances,
            self.hparams.data_folder,
            self.hparams.sample_rate,
            self.device,
            max_padding=self.hparams.max_padding,
            batch_seconds=self.hparams.batch_seconds,
            num_workers=self.hparams.num_workers,
        )
        speakers = self.speakers.cpu().numpy()
        means, _ = session_means(F.normalize(embeddings), speakers)
        return F.normalize(torch.from_numpy(means))

    def on_fit_start(self):
        """Recovers, and only then writes which utterances are labelled."""
        super().on_fit_start()
        path = Path(self.hparams.output_folder) / "labelled_utterances.txt"
        names = self.train_set.utterances.ids
        run_on_main(
            write_text, args=[path, "".join(f"{name}\n" for name in names)]
        )

    def compute_forward(self, batch, stage):
        """Cosines (B, K) with the speakers."""
        (view,) = batch.views
        _, logits = self.modules.student([self.features(view)])
        return logits

    def compute_objectives(self, logits, batch, stage):
        """Mean over the batch."""
        labels = self.speakers[batch.index]
        return self.hparams.margin_loss(logits, labels).mean()
