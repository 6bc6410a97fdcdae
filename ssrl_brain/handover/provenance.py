"""Where a published encoder comes from: its chain, its data, its shape."""

import pydoc
import sys
from pathlib import Path

import torch
from ruamel.yaml import YAML

from ssrl_brain.data.preparation import read_summary
from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.export import class_names
from ssrl_brain.system.files import read_json
from ssrl_brain.training.log import read_history

# By the word under which the first line of a Brain's module cites them.
PAPERS = {
    "SSRL": """@article{cai2024ssrl, title={Self-supervised Reflective Learning through
  Self-distillation and Online Clustering for Speaker Representation Learning},
  author={Cai, Danwei and Cai, Zexin and Li, Ming}, year={2024}}""",
    "DINO": """@inproceedings{chen2022dino, title={A Comprehensive Study on Self-Supervised
  Distillation for Speaker Representation Learning},
  author={Chen, Zhengyang and Qian, Yao and Han, Bing and Qian, Yanmin and
  Zeng, Michael}, year={2022}}""",
    "DLG-LC": """@article{han2023cadino, title={Self-Supervised Learning with Cluster-Aware-DINO
  for High-Performance Robust Speaker Verification},
  author={Han, Bing and Chen, Zhengyang and Qian, Yanmin}, year={2023}}""",
    "iterative": """@inproceedings{cai2021iterative, title={An Iterative Framework for
  Self-Supervised Deep Speaker Representation Learning},
  author={Cai, Danwei and Wang, Weiqing and Li, Ming}, year={2021}}""",
}
PAPERS["CA-DINO"] = PAPERS["DLG-LC"]


def describe_run(run_folder):
    """What the folder of a stage tells about how its encoder was trained.

    Arguments
    ---------
    run_folder : str or Path
        With the ``hyperparams.yaml`` and ``history.jsonl`` of ``train.py``.

    Returns
    -------
    dict
        "text" of one paragraph, "with_labels", "papers" to be cited, and in
        "chain" a row for each stage that it stands on, the first one first.

    Raises
    ------
    FileNotFoundError
        If it is not such a folder.
    """
    path = Path(run_folder) / "hyperparams.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: --run_folder is the output folder of "
            "train.py"
        )
    stage = YAML().load(path)
    name = next(class_names(stage["brain_class"])).removeprefix("!name:")
    brain = pydoc.locate(name)
    module = first_line(sys.modules.get(brain.__module__)) if brain else name
    encoder = next(class_names(stage["embedding_model"])).rsplit(".", 1)[-1]
    epochs = len(read_history(run_folder))
    return {
        "text": f"{module} {first_line(brain)}\nEncoder: {encoder}, trained "
        f"for {epochs} epochs in this stage.",
        "with_labels": bool(getattr(brain, "reads_speakers", False)),
        "papers": [text for word, text in PAPERS.items() if word in module],
        "chain": chain_of(run_folder),
    }


def first_line(documented):
    """First line of what a module or class says of itself.

    Example
    -------
    >>> first_line(dict)[:6]
    'dict()'
    """
    return (documented.__doc__ or "").strip().partition("\n")[0]


def chain_of(run_folder):
    """Rows about a stage and those whose encoder or labels it began with.

    Folders that are not there any more end the chain; their paths are not
    told, only their names.

    Arguments
    ---------
    run_folder : str or Path

    Returns
    -------
    list of dict
    """
    rows, todo, seen = [], [Path(run_folder)], set()
    while todo:
        folder = todo.pop(0)
        path = folder / "hyperparams.yaml"
        if folder.resolve() in seen or not path.is_file():
            continue
        seen.add(folder.resolve())
        stage = YAML().load(path)
        name = next(class_names(stage["brain_class"]), "").rsplit(".", 1)[-1]
        history = read_history(folder)
        conditions = read_json(folder / "conditions.json") or {}
        versions = conditions.get("versions", {})
        rows.append(
            {
                "stage": folder.resolve().name,
                "method": name.removesuffix("Brain"),
                "epochs": len(history),
                "seed": stage.get("seed", ""),
                "commit": commit_of(folder) or versions.get("its code", ""),
                "ssrl_brain": versions.get("ssrl_brain", ""),
                "speechbrain": versions.get("speechbrain", ""),
            }
        )
        for key in ("encoder_folder", "label_folder"):
            if stage.get(key):
                todo.append(Path(str(stage[key])).parent)
    return rows[::-1]


def commit_of(run_folder):
    """Commit of this package that a run noted down in ``env.log``, or None.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "env.log").write_text("ssrl_brain commit 0a1b2c3\\n")
    >>> commit_of(folder), commit_of(folder / "none")
    ('0a1b2c3', None)
    """
    path = Path(run_folder) / "env.log"
    if not path.is_file():
        return None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("ssrl_brain commit "):
            return line.removeprefix("ssrl_brain commit ")
    return None


def describe_data(prepared_folder):
    """A few sentences about the training data, from ``prepared.json``.

    Arguments
    ---------
    prepared_folder : str or Path

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        If it is not a prepared folder.
    """
    summary = read_summary(prepared_folder)
    if not summary:
        raise FileNotFoundError(
            f"{prepared_folder} is not a prepared folder (no prepared.json)"
        )
    counts, made_from = summary["counts"], summary["made_from"]
    corpus = made_from.get("corpus", {})
    text = (
        f"{counts['train']:,} utterances, {counts['train hours']:.1f} hours, "
        f"{counts['train sessions']:,} sessions; none shorter than "
        f"{made_from.get('min_seconds', 1.0):g} s."
    )
    if corpus.get("name"):
        text = f"{corpus['name']}: {text}"
    if corpus.get("synthetic"):
        text = f"SYNTHETIC speech, nobody was recorded. {text}"
    return text


def language_of(prepared_folder):
    """Languages that the corpus says it is of, or None."""
    corpus = read_summary(prepared_folder).get("made_from", {}).get("corpus")
    return (corpus or {}).get("language")


@torch.no_grad()
def describe_encoder(encoder_folder):
    """Sizes that a user has to know, by name.

    Arguments
    ---------
    encoder_folder : str or Path

    Returns
    -------
    dict
    """
    encoder = ExportedEncoder(encoder_folder)
    rate = int(encoder.sample_rate)
    noise = torch.randn(1, 2 * rate, generator=torch.Generator().manual_seed(0))
    embedding = encoder(noise, torch.ones(1))
    layers = encoder.model.mods["embedding_model"]
    return {
        "sample rate": f"{rate:,} Hz; `load_audio` converts others",
        "embedding": f"{embedding.shape[-1]} dimensions",
        "parameters": f"{sum(p.numel() for p in layers.parameters()):,}",
    }
