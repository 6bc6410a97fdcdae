"""Scripts of the recipe in processes of their own: as ranks, or to be killed.

The processes are forked from one that has imported everything and done
nothing, so that they start at once and no thread is lost.
"""

import collections
import contextlib
import faulthandler
import functools
import io
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import sys

import conftest  # finds the recipe
import faiss
import soundfile
import torch
import torch._dynamo  # else every process would import it in its first step

import ssrl_brain.brains.audio_visual
import ssrl_brain.brains.ca_dino
import ssrl_brain.brains.contrastive
import ssrl_brain.brains.dlg_lc
import ssrl_brain.brains.finetune
import ssrl_brain.brains.ssrl
import ssrl_brain.evaluation.speakers  # noqa: F401
from ssrl_brain.brains.speaker import SpeakerBrain
from ssrl_brain.chains import pipeline
from ssrl_brain.commands import label, train, verify
from ssrl_brain.system import errors
from ssrl_brain.training import checkpoints

SCRIPTS = {
    "train": train,
    "pseudo_label": label,
    "verify": verify,
    "pipeline": pipeline,
}
TOO_LONG = 240  # seconds, for what takes a few
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["processes"])


@contextlib.contextmanager
def importable():
    """The process that forks finds this module, like the one that asks it."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


# ------------------------------ being killed --------------------------------

# Where a process may be killed: before and after each of these.
POINTS = [
    (SpeakerBrain, "fit_batch"),  # inside an epoch
    (SpeakerBrain, "on_stage_end"),
    (soundfile.SoundFile, "__init__"),  # inside preparation and embedding
    (faiss.Kmeans, "train"),  # inside clustering
    (torch, "save"),  # inside a checkpoint or an export
    (checkpoints, "to_disk"),
    (pathlib.Path, "rename"),  # what is whole gets its name
    (pathlib.Path, "replace"),
    (pathlib.Path, "write_text"),
]


def half_saved(save, state, path, *args, **kwargs):
    """``torch.save`` that gets half-way."""
    whole = io.BytesIO()
    save(state, whole)
    half = whole.getvalue()[: whole.tell() // 2]
    pathlib.Path(path).write_bytes(half)


class Moments:
    """Counts what happens; kills this process at one of the moments."""

    def __init__(self, kill_at=None):
        self.kill_at = kill_at and tuple(kill_at)
        self.counts = collections.Counter()
        for owner, name in POINTS:
            setattr(owner, name, self.counted(getattr(owner, name), name))

    def counted(self, function, name):
        @functools.wraps(function)
        def run(*args, **kwargs):
            self.pass_by(name)
            if name == "save" and self.is_now("half saved"):
                half_saved(function, *args, **kwargs)
                self.pass_by("half saved")
            self.counts["half saved"] += name == "save"
            result = function(*args, **kwargs)
            self.pass_by(name)
            return result

        return run

    def is_now(self, name):
        return (name, self.counts[name] + 1) == self.kill_at

    def pass_by(self, name):
        if self.is_now(name):
            os.kill(os.getpid(), signal.SIGKILL)
        self.counts[name] += 1


# --------------------------------- running ----------------------------------


def target(script, arguments, log, environment, kill_at, fail_at):
    """What a process does, see ``start``."""
    with open(log, "a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.update(environment)
    faulthandler.dump_traceback_later(TOO_LONG, exit=True)
    os.chdir(conftest.RECIPE)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    if fail_at is not None:
        fit_batch = SpeakerBrain.fit_batch

        def failing(brain, batch):
            if brain.step == fail_at:
                raise ValueError("this rank has had enough")
            return fit_batch(brain, batch)

        SpeakerBrain.fit_batch = failing
    moments = None if kill_at is None else Moments(kill_at)
    with errors.one_line_errors(arguments):
        SCRIPTS[script].main(arguments)
    if moments is not None:
        log.with_suffix(".moments").write_text(json.dumps(moments.counts))


def start(script, arguments, log, environment=(), kill_at=None, fail_at=None):
    """Starts a script.

    Arguments
    ---------
    script : str
        One of ``SCRIPTS``.
    arguments : list of str
    log : Path
        File for what the script prints.
    environment : dict
    kill_at : tuple, optional
        (point, number): where the process kills itself. With an empty one,
        the moments are counted and written beside the log.
    fail_at : int, optional
        Training step that raises an error.

    Returns
    -------
    multiprocessing.Process
    """
    arguments = [str(argument) for argument in arguments]
    process = CONTEXT.Process(
        target=target,
        args=(script, arguments, log, dict(environment), kill_at, fail_at),
        daemon=False,
    )
    with importable():
        process.start()
    return process


def run(script, arguments, log, **options):
    """Runs a script to its end; returns its exit code."""
    process = start(script, arguments, log, **options)
    process.join(600)
    return process.exitcode


def run_ranks(script, arguments, folder, options=({}, {})):
    """Runs a script on two ranks; returns their exit codes.

    ``options`` are those of ``start``, one for each rank; the ranks print to
    ``rank0.log`` and ``rank1.log`` of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank, more in enumerate(options):
        environment = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(len(options)),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        processes.append(
            start(
                script,
                arguments,
                folder / f"rank{rank}.log",
                environment=environment,
                **more,
            )
        )
    for process in processes:
        process.join(600)
    return [process.exitcode for process in processes]


# -------------------------------- comparing ---------------------------------


def results(folder):
    """What a run has made, by name: tensors, labels, figures; no times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "/CKPT" in name:  # its name is the time
            name = "/".join([*name.split("/")[:-2], path.name])
        if path.suffix in (".csv", ".txt") and path.name not in NOT_COMPARED:
            found[name] = path.read_bytes()
        elif path.suffix == ".npy":
            found[name] = path.read_bytes()
        elif path.name in ("history.jsonl", "metrics.json", "source.json"):
            lines = path.read_text()
            if path.suffix == ".json":
                lines = json.dumps(json.loads(lines))
            found[name] = [
                json.dumps(json.loads(x, object_hook=untimed))
                for x in lines.splitlines()
            ]
        elif path.suffix == ".ckpt":
            found[name] = state_in(path)
    return found


NOT_COMPARED = {"log.txt", "train_log.txt"}


def untimed(values):
    """Figures without those that no two runs share."""
    return {k: v for k, v in values.items() if not k.endswith("seconds")}


def state_in(path):
    """Tensors and plain values of a file of a checkpoint, or its text."""
    try:
        state = torch.load(path, weights_only=True)
    except Exception:  # the toolkit writes some as text
        return path.read_text()
    return flat(state)


def flat(state, name=""):
    """Nested state by dotted names."""
    if isinstance(state, dict):
        items = state.items()
    elif isinstance(state, (list, tuple)):
        items = enumerate(state)
    else:
        return {name: state}
    return {
        k: v for key, x in items for k, v in flat(x, f"{name}.{key}").items()
    }


def differences(ours, theirs):
    """Names of what is not the same, bit for bit."""
    found = sorted(ours.keys() ^ theirs.keys())
    for name in ours.keys() & theirs.keys():
        mine, other = ours[name], theirs[name]
        if isinstance(mine, dict) and isinstance(other, dict):
            found += [f"{name}: {key}" for key in mine.keys() ^ other.keys()]
            found += [
                f"{name}: {key}"
                for key in mine.keys() & other.keys()
                if not same(mine[key], other[key])
            ]
        elif mine != other:
            found.append(name)
    return found


def same(ours, theirs):
    """Whether two values are the same; NaN is the same as NaN."""
    if isinstance(ours, torch.Tensor):
        return ours.shape == theirs.shape and torch.equal(
            ours.nan_to_num(-1e30) if ours.is_floating_point() else ours,
            theirs.nan_to_num(-1e30) if ours.is_floating_point() else theirs,
        )
    return ours == theirs
