"""Devices of ranks, and products in half precision."""

import logging

import pytest
import torch

from ssrl_brain.system import devices
from ssrl_brain.system.devices import check_device


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_one_gpu_for_several_ranks_is_refused(device, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=f"--device={device} would put 4"):
        check_device(device)
    check_device("cpu")
    check_device(None)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    check_device(device)


def test_a_gpu_that_torch_cannot_use_is_told(tmp_path, monkeypatch, caplog):
    driver = tmp_path / "version"
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with caplog.at_level(logging.WARNING):
        check_device(None)
        assert not caplog.records
        driver.touch()
        check_device("cpu")  # asked for
        assert not caplog.records
        check_device(None)
    (record,) = caplog.records
    assert "this runs on the CPU" in record.getMessage()
    assert torch.__version__ in record.getMessage()
    caplog.clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check_device(None)
    assert not caplog.records
