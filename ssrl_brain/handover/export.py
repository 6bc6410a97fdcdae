"""An encoder folder: the hand-over between stages and the published model.

It names classes of SpeechBrain only, so that stock SpeechBrain loads it.
"""

import io
import re

import torch
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from ssrl_brain.system.files import atomic_folder, locked, write_json

PARTS = ("compute_features", "mean_var_norm", "embedding_model")
# Comments speak of the stage that the lines were taken from.
COMMENT = re.compile(r"(^|\s+)#.*$|^\n", re.MULTILINE)
FOREIGN = ("ssrl_brain", "prepare.")
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
{figures}
```python
from speechbrain.inference.speaker import SpeakerRecognition

model = SpeakerRecognition.from_hparams(source="path/or/hub-id")
score, same_speaker = model.verify_files("one.wav", "two.wav")
```

The default threshold of `verify_files` belongs to another model; choose your
own on trials of your data.
"""

VISUAL_CARD = """# Visual encoder of an audio-visual run

Embeds images of aligned faces, scaled to {image_size} x {image_size}; learnt
without labels by ssrl_brain, which is needed to load it
(`pseudo_label.py --visual_encoder_folder=...`). An utterance is the mean over
its frames.
"""


def inference_yaml(stage_yaml):
    """What of a resolved stage YAML an encoder needs.

    Arguments
    ---------
    stage_yaml : str
        Text of the YAML after ``hyperpyyaml.resolve_references``.

    Returns
    -------
    CommentedMap
        To be dumped as ``hyperparams.yaml``.

    Raises
    ------
    ValueError
        If a part is missing or would need this package to be loaded.
    """
    stage = YAML().load(stage_yaml)
    missing = [key for key in ("sample_rate", *PARTS) if key not in stage]
    if missing:
        raise ValueError(
            f"the stage YAML lacks {', '.join(missing)}, which an exported "
            "encoder needs"
        )
    result = CommentedMap()
    result["sample_rate"] = stage["sample_rate"]
    for part in PARTS:
        for name in class_names(stage[part]):
            if any(package in name for package in FOREIGN):
                raise ValueError(
                    f"{part} is or holds {name}: an exported encoder may only "
                    "use classes that stock SpeechBrain can import"
                )
        result[part] = stage[part]
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
    folder, encoder, stage_yaml, stage, metrics=None, with_labels=False
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
    """
    metrics = metrics or {}
    figures = "".join(
        f"\n- {key}: {value:.4g}" for key, value in metrics.items()
    )
    card = CARD.format(
        stage=stage,
        figures=figures and figures + "\n",
        tag="" if with_labels else "- self-supervised\n",
        title="Speaker embeddings "
        + ("fine-tuned with" if with_labels else "learnt without")
        + " labels",
    )
    _write(folder, inference_yaml(stage_yaml), encoder, metrics, card)


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
    _write(folder, content, encoder, {}, card)


def _write(folder, content, encoder, metrics, card):
    """Writes the files of an encoder folder."""
    state = {
        key: value.detach().cpu().clone()
        for key, value in encoder.state_dict().items()
    }
    with locked(folder), atomic_folder(folder) as temporary:
        text = io.StringIO()
        YAML().dump(content, text)
        (temporary / "hyperparams.yaml").write_text(
            COMMENT.sub("", text.getvalue()), encoding="utf-8"
        )
        torch.save(state, temporary / "embedding_model.ckpt")
        write_json(temporary / "metrics.json", metrics)
        (temporary / "README.md").write_text(card, encoding="utf-8")
