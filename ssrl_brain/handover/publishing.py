"""Uploads an encoder folder to the Hugging Face hub, and nothing else.

Everything is checked before anything is sent: which files there are, what the
weights are, and that no text tells about the machine.
"""

import re
from pathlib import Path

import torch
from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.utils import HFValidationError, validate_repo_id
from speechbrain.utils.logger import get_logger

from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.trust import no_encoder, read_weights
from ssrl_brain.networks.weights import nonfinite
from ssrl_brain.system.ours import MARKER

logger = get_logger(__name__)

NEEDED = {"hyperparams.yaml", "embedding_model.ckpt"}
WEIGHTS = {"embedding_model.ckpt", "mean_var_norm_emb.ckpt"}
ALLOWED = NEEDED | WEIGHTS | {"label_encoder.txt", "README.md", "metrics.json"}
# an absolute path of two parts or more, which neither a URL nor a/b/c holds
ABSOLUTE_PATH = re.compile(
    r"(?<![\w:/.~<])/[\w.-]+/[\w.-]+|\b[A-Za-z]:\\\w|~/\w"
)
TOKEN = re.compile(r"\b(?:hf|gh[a-z]|github_pat|sk|xox[a-z])[_-]\w{16,}")


def check_folder(folder):
    """Refuses an encoder folder with anything that no user of it needs.

    Arguments
    ---------
    folder : str or Path

    Returns
    -------
    list of str
        Names of its files.

    Raises
    ------
    FileNotFoundError, ValueError
        In one line: which file, and why.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"--encoder_folder={folder} does not exist")
    names = sorted({path.name for path in folder.iterdir()} - {MARKER})
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise ValueError(
                f"{path} is not a plain file: put a copy of the file there"
            )
        if name not in ALLOWED:
            raise ValueError(
                f"{path} does not belong to an encoder: remove it "
                f"(published are {', '.join(sorted(ALLOWED))})"
            )
    missing = NEEDED.difference(names)
    if missing:
        raise no_encoder(folder, min(missing))
    for name in names:
        if name in WEIGHTS:
            check_is_tensors(folder / name)
        else:
            check_text(folder / name)
    ExportedEncoder(folder)  # refuses weights of another encoder
    return names


def check_is_tensors(path):
    """Refuses weights with anything but tensors and plain numbers by name."""
    state = read_weights(path)
    if bad := nonfinite(state):
        raise ValueError(f"{path}: {bad}: give the export of a sound run")
    for name, value in state.items():
        if not isinstance(value, (torch.Tensor, int, float)):
            raise ValueError(
                f"{path} holds '{name}', which is no weight (a checkpoint of "
                "training?): give the export folder of a stage"
            )


def check_text(path, text=None):
    """Refuses text with a path of this machine or something like a token.

    Arguments
    ---------
    path : str or Path
        Named in the error.
    text : str, optional
        Instead of the file's.

    Raises
    ------
    ValueError

    Example
    -------
    >>> check_text("card", "see https://host/a/b or path/or/hub-id")
    >>> check_text("card", "data_folder: /data/me")
    Traceback (most recent call last):
    ...
    ValueError: card names a folder of this machine ('/data/me'): remove it
    """
    if text is None:
        text = Path(path).read_text(encoding="utf-8")
    home = str(Path.home())
    found = ABSOLUTE_PATH.search(text)
    if found or (len(home) > 1 and home in text):
        name = found.group() if found else home
        raise ValueError(
            f"{path} names a folder of this machine ('{name}'): remove it"
        )
    token = get_token()
    if TOKEN.search(text) or (token and token in text):
        raise ValueError(f"{path} holds something like a token: remove it")


def check_repo_id(repo_id):
    """Refuses what the hub would refuse as the name of a repository.

    Example
    -------
    >>> check_repo_id("me/my-voices")
    >>> check_repo_id("my voices")
    Traceback (most recent call last):
    ...
    ValueError: --repo_id=my voices is no name/repository of the hub
    """
    message = f"--repo_id={repo_id} is no name/repository of the hub"
    if repo_id.count("/") != 1 or " " in repo_id:
        raise ValueError(message)
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{message}: {reason}") from None


def publish(folder, repo_id, texts, private=False, dry_run=False):
    """Checks an encoder folder and uploads it in one commit.

    Arguments
    ---------
    folder : str or Path
    repo_id : str
        "name/repository" on the hub; made if it does not exist.
    texts : dict
        Files by name, which take the place of the folder's.
    private : bool
        A repository that exists already and is public is refused.
    dry_run : bool
        Only checks; needs no network and no token.

    Returns
    -------
    dict
        Size in bytes of what is, or would be, uploaded, by name.
    """
    check_repo_id(repo_id)
    folder = Path(folder)
    contents = {name: folder / name for name in check_folder(folder)}
    for name, text in texts.items():
        check_text(name, text)
        contents[name] = text.encode()
    sizes = {
        name: len(content)
        if isinstance(content, bytes)
        else content.stat().st_size
        for name, content in sorted(contents.items())
    }
    if dry_run:
        return sizes
    api = HfApi()
    api.create_repo(repo_id, private=private, exist_ok=True)
    if private and not api.model_info(repo_id).private:
        raise ValueError(
            f"{repo_id} exists and is public: choose another --repo_id, or "
            "leave out --private"
        )
    commit = api.create_commit(
        repo_id,
        operations=[
            CommitOperationAdd(
                name, content if isinstance(content, bytes) else str(content)
            )
            for name, content in sorted(contents.items())
        ],
        commit_message="Encoder and model card",
    )
    logger.info("Published: %s", commit.commit_url)
    return sizes
