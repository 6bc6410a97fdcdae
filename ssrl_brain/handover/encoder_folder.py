"""An encoder folder as its users see it: loaded by SpeechBrain, and embedding.

``hyperparams.yaml``, ``embedding_model.ckpt`` and a card, see
``ssrl_brain.handover.export``.
"""

import hashlib
from pathlib import Path

from ruamel.yaml import YAML
from speechbrain.inference.speaker import SpeakerRecognition

from ssrl_brain.evaluation.embed import embed
from ssrl_brain.handover.trust import (
    check_encoder_folder,
    no_encoder,
    read_weights,
)
from ssrl_brain.networks.faster import constants_to_


class ExportedEncoder:
    """An encoder folder, read through SpeechBrain's public interface.

    Arguments
    ---------
    folder : str
    device : str or None
        None: a GPU, where there is one; of several ranks each has its own.
    trusted : bool
        Loads whatever the folder names, without a look at it.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is not an encoder folder, or not a harmless one.
    """

    def __init__(self, folder, device="cpu", trusted=False):
        self.folder = Path(folder)
        if not (self.folder / "hyperparams.yaml").is_file():
            raise no_encoder(folder, "hyperparams.yaml")
        if not trusted:
            check_encoder_folder(folder)
        source = str(self.folder.absolute())
        try:
            self.model = SpeakerRecognition.from_hparams(
                source=source,
                overrides=here(self.folder / "hyperparams.yaml", source),
                run_opts={"device": device},
            )
        except RuntimeError as error:  # tensors of other shapes
            raise ValueError(
                f"the weights of {folder} do not fit its hyperparams.yaml: "
                f"export it again ({' '.join(str(error).split())[:200]})"
            ) from error
        self._refuse_missing_weights()
        self.sample_rate = getattr(
            self.model.hparams,
            "sample_rate",
            self.model.audio_normalizer.sample_rate,
        )
        self.device = self.model.device  # found out, where none was named
        constants_to_(self.model.mods["compute_features"], self.device)

    def _refuse_missing_weights(self):
        """The toolkit only warns, and leaves what is missing at random."""
        path = self.folder / "embedding_model.ckpt"
        if not path.is_file():  # a trusted folder may have it elsewhere
            return
        found = set(read_weights(path))
        expected = set(self.model.mods["embedding_model"].state_dict())
        if found != expected:
            name = min(found ^ expected)
            raise ValueError(
                f"{path} and hyperparams.yaml do not describe the same encoder "
                f"({'only' if name in found else 'not'} the first has "
                f"'{name}'): export it again"
            )

    def fingerprint(self):
        """Changes with the weights or the layers of the encoder."""
        return encoder_fingerprint(self.folder)

    def __call__(self, wave, lengths):
        """wave (B, T), relative lengths (B,) -> (B, D)"""
        return self.model.encode_batch(wave, lengths).squeeze(1)

    def embed(self, table, data_folder, **options):
        """(N, D) embeddings of a table; options as of ``embed``."""
        return embed(
            self, table, data_folder, self.sample_rate, self.device, **options
        )


def here(yaml, folder):
    """Overrides with which a published model loads from its folder.

    Models of the hub name the place that they were published at, and would
    be fetched from there.
    """
    keys = YAML().load(Path(yaml))
    return {"pretrained_path": folder} if "pretrained_path" in keys else {}


def encoder_fingerprint(folder):
    """Digest of what decides about the embeddings of an encoder folder.

    Arguments
    ---------
    folder : str or Path

    Returns
    -------
    str
        The same for a copy elsewhere.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.name == "hyperparams.yaml" or path.suffix == ".ckpt":
            digest.update(path.name.encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
