"""What a run writes down after every epoch.

``history.jsonl`` has one line per epoch and is the source of the other two,
``train_log.txt`` and the TensorBoard events; a resumed epoch replaces its
line, so that an interrupted run leaves the same log as an uninterrupted one.
"""

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import torch
from speechbrain.utils.logger import get_logger

import ssrl_brain
from ssrl_brain.system.files import write_text
from ssrl_brain.training.events import Events, NoEvents

logger = get_logger(__name__)


def write_environment(folder):
    """Writes ``env.log``: Python, CUDA, and the packages that there are.

    The toolkit's asks ``pip freeze``, which takes a second and shows the
    addresses of packages with the tokens that they may hold.

    Arguments
    ---------
    folder : str
        Output folder of a stage.
    """
    packages = sorted(
        {f"{found.name}=={found.version}" for found in distributions()}
    )
    lines = [f"Python {sys.version}", f"CUDA {torch.version.cuda}", *packages]
    if commit := package_commit():
        lines.append(f"ssrl_brain commit {commit}")
    write_text(Path(folder) / "env.log", "".join(f"{x}\n" for x in lines))


def package_commit():
    """Commit that this package was checked out at, or None.

    Example
    -------
    >>> commit = package_commit()
    >>> commit is None or len(commit.split()[0]) >= 7
    True
    """
    root = Path(ssrl_brain.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        told = [
            subprocess.run(
                ["git", "-C", str(root), *arguments],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
            for arguments in (
                ("rev-parse", "--short", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no"),
            )
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return told[0] + (" with changes" if told[1] else "")


def read_history(folder):
    """Records of all epochs of a run so far; an empty list if there are none.

    Arguments
    ---------
    folder : str
        Output folder of a stage.

    Returns
    -------
    list of dict
        In order of their "epoch".

    Raises
    ------
    ValueError
        Naming the file and the line that is not a record.
    """
    return [record for _, record in numbered_history(folder)]


def numbered_history(folder):
    """Pairs (line number, record) of ``read_history``."""
    path = Path(folder) / "history.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        (number, _record(path, number, line))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _record(path, number, line):
    """The record of one line."""
    try:
        record = json.loads(line)
        if isinstance(record["epoch"], int):
            return record
    except (ValueError, TypeError, KeyError):
        pass  # told below
    raise ValueError(
        f"{path}, line {number}: not the record of an epoch: {line[:60]!r}; "
        "remove this line and those after it"
    )


def as_text(record):
    """One line of ``train_log.txt``.

    Example
    -------
    >>> as_text({"epoch": 2, "lr": 0.001, "loss": 1.23456, "eer_student": 9.5})
    'epoch: 2, lr: 0.001, loss: 1.235, eer_student: 9.5'
    """
    return ", ".join(
        f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}"
        for key, value in record.items()
        if not isinstance(value, (list, dict))
    )


def headline(record):
    """What the console says of an epoch; the whole record is in the files.

    Example
    -------
    >>> headline(
    ...     {
    ...         "epoch": 2,
    ...         "loss": 1.23456,
    ...         "eer_teacher": 9.5,
    ...         "lr": 0.1,
    ...         "center_norm": 0.4,
    ...         "seconds": 61.234,
    ...     }
    ... )
    'epoch 2: loss 1.23, eer_teacher 9.5, seconds 61.2'
    """
    shown = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key in HEADLINES
        if (value := record.get(key)) is not None
    )
    return f"epoch {record['epoch']}: {shown}"


HEADLINES = (
    "loss",
    "eer_student",
    "eer_teacher",
    "proxy_eer",
    "clusters",
    "nmi",
    "warning",
    "seconds",
)


def group_of(key):
    """Name under which TensorBoard and other loggers sort a value.

    Example
    -------
    >>> [group_of(key) for key in ("loss", "eer_student", "nmi", "center_norm")]
    ['train', 'valid', 'labels', 'health']
    """
    for group, beginnings in GROUPS.items():
        if key.startswith(beginnings):
            return group
    return "health"


GROUPS = {
    "valid": ("eer", "min_dcf", "proxy_eer"),
    "labels": (
        "accuracy",
        "agreed",
        "below_gate",
        "clean_prob",
        "cluster",
        "corrected",
        "dropped",
        "gate",
        "labels_changed",
        "largest_cluster",
        "loss_auc",
        "next_gate",
        "nmi",
        "passed",
        "purity",
        "queue_agreement",
        "right",
        "teacher_student_agreement",
    ),
    "train": ("loss", "lr", "seconds", "margin"),
}


class EpochLog:
    """Writes records of epochs, and losses of steps.

    Arguments
    ---------
    folder : str
        Output folder of a stage.
    tensorboard : bool
        Whether to write TensorBoard events as well, if it is installed: in
        groups (train/, valid/, labels/, health/), with the hyper-parameters.
    every_steps : int
        Steps between two losses in TensorBoard; 0: none.
    train_logger : speechbrain.utils.train_logger.TrainLogger, optional
        Told of every epoch as well: one of the toolkit's, for W&B or others.

    Example
    -------
    >>> log = EpochLog(getfixture("tmp_path"), tensorboard=False)
    >>> for epoch in (1, 2, 2):
    ...     log.record({"epoch": epoch, "loss": 0.5})
    >>> [record["epoch"] for record in read_history(log.folder)]
    [1, 2]
    """

    def __init__(
        self, folder, tensorboard=True, every_steps=10, train_logger=None
    ):
        self.folder = Path(folder)
        self.events = Events(folder) if tensorboard else NoEvents()
        self.every_steps = every_steps
        self.train_logger = train_logger

    def record(self, record):
        """Adds or replaces the record of an epoch."""
        epoch = record["epoch"]
        history = [r for r in read_history(self.folder) if r["epoch"] < epoch]
        history.append(record)
        write_text(
            self.folder / "history.jsonl",
            "".join(json.dumps(item) + "\n" for item in history),
        )
        write_text(
            self.folder / "train_log.txt",
            "".join(as_text(item) + "\n" for item in history),
        )
        logger.info(headline(record))
        self.events.epoch(epoch, numbers_by_group(record))
        if self.train_logger is not None:
            groups = numbers_by_group(record)
            valid = groups.pop("valid", None)
            train = {
                k: v for group in groups.values() for k, v in group.items()
            }
            self.train_logger.log_stats({"epoch": epoch}, train, valid)

    def step(self, number, loss):
        """Writes the loss of a step, counted from the beginning of training."""
        if self.every_steps and number % self.every_steps == 0:
            self.events.step(number, float(loss))


def numbers_by_group(record):
    """{group: {key: number}} of a record.

    Example
    -------
    >>> numbers_by_group({"epoch": 3, "loss": 0.5, "nmi": 0.9, "mixture": []})
    {'train': {'loss': 0.5}, 'labels': {'nmi': 0.9}}
    """
    groups = {}
    for key, value in record.items():
        if isinstance(value, (int, float)) and key != "epoch":
            groups.setdefault(group_of(key), {})[key] = value
    return groups
