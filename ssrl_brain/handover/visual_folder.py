"""The folder of a visual encoder, as clustering uses it."""

import io
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML
from speechbrain.utils.distributed import infer_device

from ssrl_brain.evaluation.embed_frames import embed_frames
from ssrl_brain.handover.encoder_folder import encoder_fingerprint
from ssrl_brain.handover.initial_weights import load_encoder_
from ssrl_brain.handover.trust import check_encoder_folder


class ExportedVisualEncoder:
    """A visual encoder folder, see ``export_visual_encoder``.

    Arguments
    ---------
    folder : str
    device : str or None
        None: a GPU, where there is one; of several ranks each has its own.
    trusted : bool
        Builds whatever the folder names, without a look at it.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is not that of a visual encoder, or not a harmless one.
    """

    def __init__(self, folder, device="cpu", trusted=False):
        self.folder = Path(folder)
        path = self.folder / "hyperparams.yaml"
        if not path.is_file() or "image_size" not in YAML().load(path):
            raise FileNotFoundError(
                f"{folder} is not the folder of a visual encoder: give the "
                "export_visual folder that hparams/audio_visual.yaml makes"
            )
        if not trusted:
            check_encoder_folder(folder)
        hparams = load_hyperpyyaml(io.StringIO(path.read_text("utf-8")))
        self.image_size = int(hparams["image_size"])
        self.model = hparams["embedding_model"]
        load_encoder_(self.model, folder)
        self.device = infer_device() if device is None else device
        self.model.to(self.device).eval()

    def fingerprint(self):
        """Changes with the weights or the layers of the encoder."""
        return encoder_fingerprint(self.folder)

    @torch.no_grad()
    def __call__(self, images):
        """(n, 3, L, L) pixels from 0 to 255 -> (n, D)"""
        return self.model(images).flatten(1)

    def embed(self, frames, **options):
        """(N, D) embeddings of all utterances; options of ``embed_frames``."""
        return embed_frames(
            self, frames, self.image_size, self.device, **options
        )
