"""An encoder folder: the hand-over between stages and the published model.

It names classes of SpeechBrain only, so that stock SpeechBrain loads it.
"""

import io
import re

import torch
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from ssrl_brain.networks.weights import nonfinite
from ssrl_brain.system.files import write_json
from ssrl_brain.system.folders import atomic_folder
from ssrl_brain.system.locks import locked

PARTS = ("compute_features", "mean_var_norm", "embedding_model")
# Comments speak of the stage that the lines were taken from.
COMMENT = re.compile(r"(^|\s+)#.*$|^\n", re.MULTILINE)
# What stock SpeechBrain can import; it needs both of the others itself.
STOCK = ("speechbrain", "torch", "torchaudio")
PRETRAINER = "!new:speechbrain.utils.parameter_transfer.Pretrainer"

CARD = """---
library_name: speechbrain
tags:
- speechbrain
- embeddings
- speaker-verification
{tag}---

# {title}

Stage: {stage}. Made by ssrl_brain on SpeechBrain.
{foreign}{figures}
```python
from speechbrain.inference.speaker import SpeakerRecognition

model = SpeakerRecognition.from_hparams(source="path/or/hub-id")
score, same_speaker = model.verify_files("one.wav", "two.wav")
```

The default threshold of `verify_files` belongs to another model; choose your
own on trials of your data.
"""
NEEDS = """
SpeechBrain alone cannot load this model: it needs {names}, importable.
"""

VISUAL_CARD = """# Visual encoder of an audio-visual run

Embeds images of aligned faces, scaled to {image_size} x {image_size}; learnt
without labels by ssrl_brain, which is needed to load it
(`pseudo_label.py --visual_encoder_folder=...`). An utterance is the mean over
its frames.
"""


def foreign_classes(stage):
    """Names in an encoder that stock SpeechBrain cannot import.

    Arguments
    ---------
    stage : dict
        Tree of a resolved stage YAML.

    Returns
    -------
    list of str

    Example
    -------
    >>> text = "embedding_model: !new:my_net.Net {size: 3}"
    >>> foreign_classes(YAML().load(text))
    ['my_net.Net']
    """
    names = [
        tag.partition(":")[2]
        for part in PARTS
        for tag in class_names(stage.get(part))
    ]
    foreign = [name for name in names if name.split(".")[0] not in STOCK]
    return list(dict.fromkeys(filter(None, foreign)))


def inference_yaml(stage_yaml, foreign=False):
    """What of a resolved stage YAML an encoder needs.

    Arguments
    ---------
    stage_yaml : str
        Text of the YAML after ``hyperpyyaml.resolve_references``.
    foreign : bool
        Whether it may name what stock SpeechBrain cannot import.

    Returns
    -------
    CommentedMap
        To be dumped as ``hyperparams.yaml``.

    Raises
    ------
    ValueError
        If a part is missing, or stock SpeechBrain could not import it.
    """
    stage = YAML().load(stage_yaml)
    missing = [key for key in ("sample_rate", *PARTS) if key not in stage]
    if missing:
        raise ValueError(
            f"the stage YAML lacks {', '.join(missing)}, which an exported "
            "encoder needs"
        )
    names = foreign_classes(stage)
    if names and not foreign:
        raise ValueError(
            f"the encoder uses {', '.join(names)}, and an export only what "
            "stock SpeechBrain can import: the same command with "
            "--export_foreign=True exports it as it is, without training again"
        )
    result = CommentedMap()
    result["sample_rate"] = stage["sample_rate"]
    # Without it, the toolkit resamples files to 16 kHz, whatever the model's.
    result["audio_normalizer"] = CommentedMap(sample_rate=stage["sample_rate"])
    result["audio_normalizer"].yaml_set_ctag(
        Tag(suffix="!new:speechbrain.dataio.preprocess.AudioNormalizer")
    )
    result |= {part: stage[part] for part in PARTS}
    result["modules"] = {part: result[part] for part in PARTS}
    result["pretrainer"] = _pretrainer(result["embedding_model"])
    return result


def _pretrainer(encoder):
    """YAML node that loads ``embedding_model.ckpt`` into an encoder."""
    pretrainer = CommentedMap(loadables={"embedding_model": encoder})
    pretrainer.yaml_set_ctag(Tag(suffix=PRETRAINER))
    return pretrainer


def class_names(node):
    """Yields the tags of a YAML node and of all that it holds.

    Example
    -------
    >>> node = YAML().load("!new:a.B {x: [!name:c.d {}], y: 1}")
    >>> list(class_names(node))
    ['!new:a.B', '!name:c.d']
    """
    tag = getattr(node, "tag", None)
    if tag is not None and tag.value is not None:
        yield str(tag.value)
    if isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from class_names(child)


def export_encoder(
    folder,
    encoder,
    stage_yaml,
    stage,
    metrics=None,
    with_labels=False,
    foreign=False,
):
    """Writes an encoder folder, whole or not at all.

    Arguments
    ---------
    folder : str
    encoder : torch.nn.Module
    stage_yaml : str
        Resolved YAML of the stage that trained it.
    stage : str
        Name of the stage, for the model card.
    metrics : dict, optional
        Plain numbers.
    with_labels : bool
        Whether the stage learnt from true speakers, which the card says.
    foreign : bool
        Whether classes are allowed that stock SpeechBrain cannot import; the
        card then says so.

    Raises
    ------
    ValueError
        Also where a weight is NaN or infinite.
    """
    metrics = metrics or {}
    figures = "".join(
        f"\n- {key}: {value:.4g}" for key, value in metrics.items()
    )
    content = inference_yaml(stage_yaml, foreign)
    names = foreign_classes(content)
    card = CARD.format(
        stage=stage,
        figures=figures and figures + "\n",
        foreign=NEEDS.format(names=", ".join(names)) if names else "",
        tag="" if with_labels else "- self-supervised\n",
        title="Speaker embeddings "
        + ("fine-tuned with" if with_labels else "learnt without")
        + " labels",
    )
    _write(folder, content, encoder, metrics, card, "encoder")


def export_visual_encoder(folder, encoder, stage_yaml):
    """Writes the folder of a visual encoder, whole or not at all.

    Of the same files as that of an encoder of speech. Its class is of this
    package, for the toolkit has none for images.

    Arguments
    ---------
    folder : str
    encoder : torch.nn.Module
    stage_yaml : str
        Resolved YAML of the stage that trained it, with ``image_size`` and
        ``visual_embedding_model``.
    """
    stage = YAML().load(stage_yaml)
    content = CommentedMap(
        image_size=stage["image_size"],
        embedding_model=stage["visual_embedding_model"],
    )
    content["pretrainer"] = _pretrainer(content["embedding_model"])
    card = VISUAL_CARD.format(image_size=stage["image_size"])
    _write(folder, content, encoder, {}, card, "visual_encoder")


def _write(folder, content, encoder, metrics, card, kind):
    """Writes the files of an encoder folder."""
    state = {
        key: value.detach().cpu().clone()
        for key, value in encoder.state_dict().items()
    }
    bad = nonfinite(state)
    if bad:
        raise ValueError(f"the encoder is not exported: {bad}")
    with locked(folder), atomic_folder(folder, kind) as temporary:
        text = io.StringIO()
        YAML().dump(content, text)
        (temporary / "hyperparams.yaml").write_text(
            COMMENT.sub("", text.getvalue()), encoding="utf-8"
        )
        torch.save(state, temporary / "embedding_model.ckpt")
        write_json(temporary / "metrics.json", metrics)
        (temporary / "README.md").write_text(card, encoding="utf-8")
