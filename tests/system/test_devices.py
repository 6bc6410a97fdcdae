"""Devices that are not there, and one for each process."""

import logging

import pytest
import torch
from speechbrain.utils.run_opts import RunOptions

from ssrl_brain.system import devices
from ssrl_brain.system.devices import check_device, settle

RANKS = [{"RANK": str(x), "LOCAL_RANK": str(x)} for x in range(3)]


def options(**given):
    return RunOptions.from_dictionary(given)


@pytest.fixture
def cuda(monkeypatch):
    """Sets the number of CUDA devices that PyTorch finds."""

    def found(number):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: number > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    return found


def refused(words, given, environment=None):
    with pytest.raises(ValueError, match=words) as caught:
        settle(given, environment or {})
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there(cuda):
    cuda(0)
    refused("no CUDA device here: leave it out", options(device="cuda"))
    refused("no CUDA device here", options(device="cuda:0"), RANKS[0])
    refused("--device=gpu is no device", options(device="gpu"))
    cuda(2)
    refused("there are 2 CUDA devices", options(device="cuda:2"))
    assert settle(options(device="cuda:1"), {}).device == "cuda:1"
    assert settle(options(), {}).device is None


def test_every_process_has_its_own_gpu(cuda):
    cuda(2)
    for given in (options(), options(device="cuda")):
        for number in range(2):
            found = settle(given, RANKS[number])
            assert found.device == f"cuda:{number}"
            assert found.distributed_backend == "nccl"
            assert "device" in found.overridden_args
    refused("same GPU: leave it out", options(device="cuda:0"), RANKS[1])
    refused("more processes than the 2 GPUs", options(), RANKS[2])


def test_processes_without_a_gpu_talk_by_gloo(cuda, caplog):
    cuda(0)
    found = settle(options(), RANKS[0])
    assert found.distributed_backend == "gloo"
    assert settle(options(), {}).distributed_backend == "nccl"
    refused("nccl needs a GPU", options(distributed_backend="nccl"), RANKS[0])
    cuda(2)
    found = settle(options(device="cpu"), RANKS[1])
    assert (found.device, found.distributed_backend) == ("cpu", "gloo")


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


@pytest.mark.parametrize(
    "machine, flags, precision, device, warned",
    [
        ("x86_64", "fpu avx2 avx512f", "bf16", "cpu", True),
        ("x86_64", "fpu avx512_bf16", "bf16", "cpu", False),
        ("x86_64", "fpu amx_bf16", "bf16", "cpu", False),
        ("x86_64", "fpu avx2", "fp32", "cpu", False),
        ("x86_64", "fpu avx2", "bf16", "cuda", False),
        ("x86_64", None, "bf16", "cpu", False),  # not Linux
        ("aarch64", "fpu", "bf16", "cpu", False),
    ],
)
def test_slow_bf16_is_told(
    machine,
    flags,
    precision,
    device,
    warned,
    cuda,
    tmp_path,
    monkeypatch,
    caplog,
):
    cuda(1)
    monkeypatch.setattr(devices, "CPU_FLAGS", tmp_path / "cpuinfo")
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"model : x\nflags : {flags}\n")
    devices.warn_of_slow_bf16.cache_clear()
    with caplog.at_level(logging.WARNING):
        settle(options(device=device, precision=precision), {})
        settle(options(device=device, precision=precision), {})
    told = [r for r in caplog.records if "bfloat16" in r.getMessage()]
    assert len(told) == warned  # once for all steps of a chain
