"""An encoder folder: the hand-over between stages and the published model.

It names classes of SpeechBrain only, so that stock SpeechBrain loads it.
"""

import io
import re

import torch
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from ssrl_brain.system.files import write_json
from ssrl_brain.system.folders import atomic_folder
from ssrl_brain.system.locks import locked

PARTS = ("compute_features", "mean_var_norm", "embedding_model")
# Comments speak of the stage that the lines were taken from.
COMMENT = re.compile(r"(^|\s+)#.*$|^\n", re.MULTILINE)
FOREIGN = ("ssrl_brain", "prepare.")

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
    pretrainer = CommentedMap(
        loadables={"embedding_model": result["embedding_model"]}
    )
    pretrainer.yaml_set_ctag(
        Tag(suffix="!new:speechbrain.utils.parameter_transfer.Pretrainer")
    )
    result["pretrainer"] = pretrainer
    return result


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
    content = inference_yaml(stage_yaml)
    metrics = metrics or {}
    figures = "".join(
        f"\n- {key}: {value:.4g}" for key, value in metrics.items()
    )
    state = {
        key: value.detach().cpu().clone()
        for key, value in encoder.state_dict().items()
    }
    with locked(folder), atomic_folder(folder, "encoder") as temporary:
        text = io.StringIO()
        YAML().dump(content, text)
        (temporary / "hyperparams.yaml").write_text(
            COMMENT.sub("", text.getvalue()), encoding="utf-8"
        )
        torch.save(state, temporary / "embedding_model.ckpt")
        write_json(temporary / "metrics.json", metrics)
        (temporary / "README.md").write_text(
            CARD.format(
                stage=stage,
                figures=figures and figures + "\n",
                tag="" if with_labels else "- self-supervised\n",
                title="Speaker embeddings "
                + ("fine-tuned with" if with_labels else "learnt without")
                + " labels",
            ),
            encoding="utf-8",
        )
