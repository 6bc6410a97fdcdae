"""Reading processes: no shared memory, no more files, or dead."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader

from ssrl_brain.system import errors
from ssrl_brain.system.workers import hand_over

TESTS = pathlib.Path(__file__).parent.parent


class Rows(torch.utils.data.Dataset):
    """Batches of 1.2 MB; a process may be killed at one of them."""

    def __init__(self, deadly=None, number=signal.SIGKILL):
        self.deadly = deadly
        self.number = number

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == self.deadly:
            os.kill(os.getpid(), self.number)
        return torch.full((300_000,), float(index)), None, (torch.ones(2),)


def read(**options):
    """First value of every batch, read by two processes."""
    loader = DataLoader(
        Rows(**options), batch_size=None, num_workers=2, collate_fn=hand_over
    )
    found = []
    for wave, nothing, (ones,) in loader:
        assert nothing is None and ones.tolist() == [1, 1]
        assert wave.shape == (300_000,) and (wave == wave[0]).all()
        wave += 1  # it can be written to, as any tensor
        found.append(wave[0].item() - 1)
    return found


def test_batches_arrive_as_they_were():
    assert read() == list(range(12))


def run(code, *before):
    """A process of its own that runs code with this module imported."""
    head = (
        f"import sys; sys.path[:0] = {[str(TESTS / 'system'), *sys.path]!r}\n"
        "import test_workers\n"
        "from ssrl_brain.system.errors import one_line_errors\n"
        "with one_line_errors(['script']):\n    "
    )
    return subprocess.run(
        [*before, sys.executable, "-c", head + code],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() or not shutil.which("unshare"),
    reason="needs a /dev/shm of its own",
)
@pytest.mark.parametrize("size", ["1m", "8k"])
def test_shared_memory_is_not_needed(size):
    mount = f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"'
    own = ("unshare", "-m", "sh", "-c", mount, "sh")
    result = run("print(test_workers.read())", *own)
    if size == "8k":  # too little even for the locks of a queue
        assert result.returncode == 1
        assert (
            "error: [Errno 28] No space left on device: is /dev/shm full? --num_workers=0"
            in result.stderr
        )
        return
    expected = str([float(x) for x in range(12)])
    assert result.stdout.strip() == expected, result.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_reading_process_that_dies_ends_the_run_in_one_line(number):
    result = run(f"test_workers.read(deadly=5, number={int(number)})")
    assert result.returncode == 1
    lines = result.stderr.replace("\0", "").splitlines()  # as PyTorch has it
    told = [x for x in lines if x.startswith("error: ")]
    assert len(told) == 1 and "Traceback" not in result.stderr, result.stderr
    assert "--num_workers" in told[0]


class Stubborn:
    """Cannot be sent to another process."""

    def __reduce__(self):
        raise OSError(24, "Too many open files")


def with_stubborn(_):
    return *hand_over((torch.ones(1),)), Stubborn()


def read_stubborn():
    list(
        DataLoader(
            [1, 2, 3], batch_size=None, num_workers=1, collate_fn=with_stubborn
        )
    )


def test_what_cannot_be_handed_over_is_no_reason_to_wait():
    result = run("test_workers.read_stubborn()")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "cannot be handed over: [Errno 24]" in result.stderr
    assert "ulimit -n" in result.stderr
    assert "error: a process that reads audio has died" in result.stderr


def test_too_many_open_files_get_the_remedy():
    for error in (
        OSError(24, "Too many open files", "a.wav"),
        RuntimeError("received 0 items of ancillary data"),
        RuntimeError("unable to open shared memory: Too many open files (24)"),
    ):
        assert "`ulimit -n 4096`" in errors.mendable(error)
