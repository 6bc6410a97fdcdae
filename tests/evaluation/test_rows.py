"""Rows that are held in memory or in a file."""

import errno
import os

import numpy as np
import pytest
import torch

from ssrl_brain.evaluation.rows import Rows, ScratchArrays


def test_a_file_holds_what_memory_would(tmp_path):
    vectors = torch.randn(5, 3)
    found = []
    for into in (None, ScratchArrays(tmp_path / "a/b")):
        rows = Rows(5, 5, into)
        for numbers in ([3, 1], [0], [4, 2]):
            rows.put(numbers, vectors[numbers])
        found.append(rows.of_all_ranks("cpu"))
    assert all(torch.equal(x, vectors) for x in found)
    assert os.listdir(tmp_path / "a/b") == []


def test_a_full_disk_is_told_before_any_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left.*scratch"):
        ScratchArrays(tmp_path / "scratch")((2, 2))


def test_file_systems_without_maps_leave_it_to_memory(
    tmp_path, monkeypatch, caplog
):
    def refuse(*_, **__):
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(np, "memmap", refuse)
    array = ScratchArrays(tmp_path)((2, 3))
    assert array.shape == (2, 3) and not array.any()
    assert "held in memory" in caplog.text
