"""Checkpoints that are whole or absent."""

import os
import shutil

import torch
import yaml
from speechbrain.utils import checkpoints
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from ssrl_brain.networks.weights import nonfinite
from ssrl_brain.system.files import naming_failed_writes

PARTIAL = ".partial"


class Checkpointer(checkpoints.Checkpointer):
    """The toolkit's, but for what a kill or a full disk leaves behind.

    The toolkit writes the description of a checkpoint first and its tensors
    after, in place: half of it would be taken for the most recent checkpoint.
    Here all is written beside, brought to the disk, and then renamed.

    Example
    -------
    >>> import torch
    >>> saved = torch.nn.Linear(1, 1)
    >>> checkpointer = Checkpointer(getfixture("tmp_path"), {"layer": saved})
    >>> checkpointer.save_and_keep_only(meta={"epoch": 1})
    >>> checkpointer.find_checkpoint().meta["epoch"]
    1
    """

    def save_checkpoint(self, *args, **kwargs):
        """Saves a checkpoint, see the toolkit's.

        Raises
        ------
        OSError
            Naming the folder; earlier checkpoints are as they were.
        """
        try:
            with naming_failed_writes(self.checkpoints_dir):
                saved = super().save_checkpoint(*args, **kwargs)
                if saved is not None:  # on the main process
                    saved = self._named(saved)
        except OSError:
            if if_main_process():  # room for others
                shutil.rmtree(self.checkpoints_dir / PARTIAL, True)
            raise
        ddp_barrier()  # all ranks find the same checkpoints from here on
        return saved

    def _named(self, saved):
        """The checkpoint that was written, brought to the disk, renamed."""
        for path in [*saved.path.iterdir(), saved.path]:
            to_disk(path)
        path = super()._new_checkpoint_dirpath()
        saved.path.rename(path)
        to_disk(self.checkpoints_dir)
        files = {k: path / v.name for k, v in saved.paramfiles.items()}
        return checkpoints.Checkpoint(path, saved.meta, files)

    def save_and_keep_only(self, *args, **kwargs):
        """Saves, then removes what is not to be kept, see the toolkit's."""
        # whose default is one list for all calls, longer with each of them
        kwargs.setdefault("importance_keys", [])
        super().save_and_keep_only(*args, **kwargs)

    def load_checkpoint(self, checkpoint):
        """Loads a checkpoint, see the toolkit's.

        Raises
        ------
        ValueError
            If it is damaged, or of another model.
        """
        try:
            super().load_checkpoint(checkpoint)
        except (RuntimeError, EOFError, KeyError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"{checkpoint.path} is damaged or of another model ({reason}):"
                " remove it, or give another --output_folder"
            ) from error

    def _new_checkpoint_dirpath(self):
        """Where to write; what an interrupted run left goes first."""
        for path in self.checkpoints_dir.iterdir():
            name = path.name
            if name == PARTIAL or (
                name.startswith(checkpoints.CKPT_PREFIX)
                and not self._is_checkpoint_dir(path)
            ):
                shutil.rmtree(path)
        return self.checkpoints_dir / PARTIAL


def add_identity(path, fingerprint):
    """Notes in a saved file what per-utterance state belongs to.

    Arguments
    ---------
    path : str
        YAML that the toolkit has written.
    fingerprint : str
        Of the utterances and their labels.
    """
    with open(path, "a", encoding="utf-8") as file:
        yaml.safe_dump({"utterances": fingerprint}, file)


def check_identity(path, fingerprint):
    """Raises ValueError for a file of other utterances, see ``add_identity``.

    Example
    -------
    >>> path = getfixture("tmp_path") / "brain.ckpt"
    >>> _ = path.write_text("step: 3\\n")
    >>> add_identity(path, "a")
    >>> check_identity(path, "a")
    """
    with open(path, encoding="utf-8") as file:
        found = yaml.safe_load(file).get("utterances")
    if found != fingerprint:
        raise ValueError(
            f"{path} was saved with another utterance table or other "
            "labels: use a new --output_folder, or the --prepared_folder "
            "and --label_folder it began with"
        )


def refuse_nonfinite(state, checkpointer):
    """Raises ValueError for weights that are no numbers.

    Arguments
    ---------
    state : dict
        Tensors by name.
    checkpointer : Checkpointer or None
        Of which the last good checkpoint is named.
    """
    if bad := nonfinite(state):
        raise ValueError(diverged(bad, checkpointer))


def diverged(what, checkpointer):
    """What a user can do about a run whose numbers are none.

    Example
    -------
    >>> diverged("the loss is NaN", None)[:43]
    'training has diverged, the loss is NaN; no '
    """
    good = checkpointer and last_good(checkpointer)
    kept = (
        f"the last good checkpoint is {good}: move later ones away, if there "
        "are any, and go on with a lower --lr and --allow_changes=True"
        if good
        else "no checkpoint is good: begin again in another --output_folder, "
        "with a lower --lr"
    )
    return f"training has diverged, {what}; {kept}"


def last_good(checkpointer):
    """Path of the last checkpoint whose encoder is of numbers, or None."""
    found = checkpointer.list_checkpoints()
    for saved in sorted(found, key=lambda x: x.meta["unixtime"], reverse=True):
        path = saved.paramfiles.get("embedding_model")
        if path is None:
            continue
        state = torch.load(path, map_location="cpu", weights_only=True)
        if nonfinite(state) is None:
            return saved.path
    return None


def to_disk(path):
    """Has a file or a folder's list of files survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
