"""What a stage starts from: the weights of an encoder and a label folder."""

import io
import re
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from ssrl_brain.data.utterances import Utterances
from ssrl_brain.handover.label_folder import read_pseudo_labels
from ssrl_brain.handover.trust import check_layers, read_weights, weights_of
from ssrl_brain.networks.models import load_centroids_
from ssrl_brain.networks.weights import nonfinite


def load_encoder_(encoder, folder):
    """Loads the weights of an encoder folder into an encoder, strictly.

    The toolkit's ``Pretrainer`` only warns when keys differ, which silently
    leaves random weights.

    Arguments
    ---------
    encoder : torch.nn.Module
    folder : str
        With ``embedding_model.ckpt``, as every stage exports and as speaker
        models of SpeechBrain are published.

    Raises
    ------
    FileNotFoundError, ValueError
    """
    path = weights_of(folder)
    state = read_weights(path)
    if bad := nonfinite(state):
        raise ValueError(f"{path}: {bad}: give the export of a sound run")
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        reasons = "; ".join(str(error).splitlines()[1:4]).replace("\t", "")
        raise ValueError(
            f"{path} does not fit this stage's encoder: use the same encoder "
            f"block in both YAMLs ({reasons})"
        ) from None


def check_features(folder, features, sample_rate):
    """Makes sure that an encoder hears what it was trained on.

    Weights fit any features of the right number of bands, so both are let
    hear the same second of noise.

    Arguments
    ---------
    folder : str
        Encoder folder; without ``hyperparams.yaml`` there is nothing to check.
    features : list of torch.nn.Module
        The stage's ``compute_features`` and ``mean_var_norm``.
    sample_rate : int

    Raises
    ------
    ValueError
        If the features differ, or are made by something that is no network.
    """
    path = Path(folder) / "hyperparams.yaml"
    if not path.is_file():
        return
    given, text = YAML().load(path), io.StringIO()
    own = ["compute_features", "mean_var_norm"]
    needed = [key for key in own if key in given]
    for key in needed:  # grows by what these refer to
        part = io.StringIO()
        YAML().dump({key: given[key]}, part)
        text.write(part.getvalue())
        names = re.findall(r"<(\w+)", part.getvalue())
        needed += [name for name in dict.fromkeys(names) if name not in needed]
    try:
        check_layers(text.getvalue())
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}: if you trust who made it, give a folder with "
            "its embedding_model.ckpt alone"
        ) from None
    found = load_hyperpyyaml(text.getvalue())
    theirs = [found[key] for key in own if key in found]
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(1, sample_rate, generator=generator)
    ours, theirs = (_features(wave, modules) for modules in (features, theirs))
    if ours.shape != theirs.shape or not torch.allclose(
        ours, theirs, rtol=1e-3, atol=1e-3
    ):
        raise ValueError(
            f"{folder} was trained on other features than those of this "
            "stage: give it the n_mels, win_length and hop_length (or the "
            f"whole compute_features and mean_var_norm) of {path}"
        )


@torch.no_grad()
def _features(wave, modules):
    """Output (1, frames, F) of feature layers that follow each other."""
    compute_features, *normalise = modules
    x = compute_features(wave)
    for module in normalise:
        x = module(x, torch.ones(1))
    return x


def initialise(
    encoder,
    encoder_folder=None,
    head=None,
    label_folder=None,
    table_csv=None,
    features=None,
    sample_rate=None,
    visual_encoder=None,
    visual_encoder_folder=None,
):
    """Starting weights of a stage.

    Arguments
    ---------
    encoder : torch.nn.Module
    encoder_folder : str, optional
        Of an earlier stage; random weights without it.
    head : torch.nn.Module, optional
        Classifier that begins at the centroids of ...
    label_folder : str, optional
        ... this folder.
    table_csv : str, optional
        Utterance table that the labels must belong to.
    features : list of torch.nn.Module, optional
        See ``check_features``, as for ...
    sample_rate : int, optional
        ... this.
    visual_encoder : torch.nn.Module, optional
        Encoder of faces, which goes on from ...
    visual_encoder_folder : str, optional
        ... this folder.
    """
    if encoder_folder:
        load_encoder_(encoder, encoder_folder)
        if features is not None:
            check_features(encoder_folder, features, sample_rate)
    if visual_encoder_folder:
        load_encoder_(visual_encoder, visual_encoder_folder)
    if head is not None and label_folder:
        table = Utterances.from_csv(table_csv)
        load_centroids_(head, read_pseudo_labels(label_folder, table).centroids)
