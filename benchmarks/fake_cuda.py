#!/usr/bin/env python3
"""One training step and one epoch's end of a stage on a GPU that is not there.

    python benchmarks/fake_cuda.py hparams/dino.yaml --precision=bf16

Tensors on the device are torch's FakeTensors: shapes, types and devices are
real, numbers are not. The host computes as always. So a tensor that is left on
the CPU raises, as it would on a GPU, every wait of the host for the device is
written down with the place that causes it, and kernels, arithmetic and the
bytes that are alive are counted. No audio is read; table, labels and batches
are made up, and the weights are random.

It prints one JSON line for every stage YAML. Further arguments are keys of the
YAMLs (--batch_size=128) or options of train.py. It needs a CUDA build of torch
and a C compiler: autograd asks the driver's library, in whose place one of a
few lines is loaded.

Not seen: workspaces of kernels, fragmentation, other ranks. What comes to the
host is made up: floating numbers are random, others zero, conditions true.
`seconds` are those of a roofline, from 60 % of the arithmetic and 80 % of the
bandwidth that makers name; nothing was timed.
"""

import collections
import contextlib
import ctypes
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import weakref
from pathlib import Path

SHIM = """
signed char fake_devices = 0; /* until torch has put up its empty guard */
signed char _ZN3c104cuda12device_countEv(void) { return fake_devices; }
int _ZN3c104cuda17hasPrimaryContextEa(signed char device) { return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    *flags = 0;
    *active = 0;
    return 0;
}
"""
# TFLOP/s of float32 products, of float32 convolutions (TF32, torch's default
# for these alone), of half precision; TB/s of the memory.
DEVICES = {"H100": (67, 495, 990, 3.35), "A100": (19.5, 156, 312, 2.0)}
SYNCING = {
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "equal",
}
SILENT = {"detach", "alias", "_unsafe_view", "lift_fresh"}


def with_shim():
    """Begins this program again with the library loaded before torch."""
    if "FAKE_CUDA" in os.environ:
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("error: this needs a C compiler, cc or gcc")
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "shim.so")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"]
            + ["-o", library, "-xc", "-"],
            input=SHIM.encode(),
            check=True,
        )
        environment = {**os.environ, "FAKE_CUDA": "1", "LD_PRELOAD": library}
        done = subprocess.run([sys.executable, *sys.argv], env=environment)
    sys.exit(done.returncode)


if __name__ == "__main__":
    with_shim()

import numpy as np  # noqa: E402
import speechbrain as sb  # noqa: E402
import torch  # noqa: E402
from torch._subclasses import fake_tensor  # noqa: E402
from torch.utils import _foreach_utils as foreach  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402
from torch.utils.flop_counter import flop_registry  # noqa: E402

import ssrl_brain  # noqa: E402
from ssrl_brain.clustering.kmeans import Clusters, kmeans  # noqa: E402
from ssrl_brain.commands import command_line  # noqa: E402
from ssrl_brain.data.augment import Rows  # noqa: E402
from ssrl_brain.data.batches import CropBatch, ViewBatch  # noqa: E402
from ssrl_brain.data.transfer import tensors  # noqa: E402
from ssrl_brain.data.utterances import Utterances  # noqa: E402
from ssrl_brain.handover.label_folder import write_pseudo_labels  # noqa: E402


def root_of(package):
    """Where the files of an imported package lie, with a ``/`` at its end."""
    return f"{Path(package.__file__).parent}/"


OURS = root_of(ssrl_brain)  # a clone may lie in a folder of the same name
THEIRS = {"speechbrain": root_of(sb), "torch": root_of(torch)}

# ------------------------------ the fake device -----------------------------


class Stream:
    """A stream that does nothing."""

    def wait_stream(self, other):
        """There is nothing to wait for."""


class NoDevice(fake_tensor.FakeTensorMode):
    """Fake tensors, without asking the driver for a context."""

    avoid_device_init = True


def pretend():
    """Python's questions to CUDA are answered."""
    fake_tensor.init_gpu_context = lambda *_: None
    foreach._foreach_supported_types.append(fake_tensor.FakeTensor)
    torch.nn.Module.to = to
    torch.load = functools.partial(load, torch.load)
    torch.Tensor.record_stream = lambda *_: None
    torch._C._select_conv_backend = lambda *_, **__: torch._C._ConvBackend.Cudnn
    for name, answer in {
        "is_available": True,
        "is_bf16_supported": True,
        "is_current_stream_capturing": False,
        "device_count": 1,
        "current_device": 0,
        "set_device": None,
        "manual_seed_all": None,
        "synchronize": None,
        "empty_cache": None,
        "Stream": Stream(),
        "current_stream": Stream(),
        "stream": contextlib.nullcontext(),
    }.items():
        setattr(torch.cuda, name, lambda *_, answer=answer, **__: answer)


def to(module, device):
    """`Module.to`, which cannot turn real parameters into fake ones."""
    kind = torch.device(device).type
    for part in module.modules():
        for name, x in part._parameters.items():
            if x is not None and x.device.type != kind:
                fake = torch.nn.Parameter(x.detach().to(device))
                part._parameters[name] = fake.requires_grad_(x.requires_grad)
        for name, x in part._buffers.items():
            if x is not None and x.device.type != kind:
                part._buffers[name] = x.to(device)
    return module


def load(real, *args, **kwargs):
    """`torch.load`, which would leave out all numbers."""
    with fake_tensor.unset_fake_temporarily():
        return real(*args, **kwargs)


@contextlib.contextmanager
def fake_cuda():
    """Tensors on `cuda` are fake in here, those on the CPU are real."""
    pretend()
    with NoDevice(allow_non_fake_inputs=True), Watch() as watch:
        # After the mode has seen that there are none:
        number = ctypes.c_byte.in_dll(ctypes.CDLL(None), "fake_devices")
        number.value = 127  # autograd asks for each that it knows of
        yield watch


def on_cuda(x):
    return isinstance(x, torch.Tensor) and x.device.type == "cuda"


def made_up(like):
    """A real tensor on the CPU in the place of a fake one."""
    if like.dtype.is_floating_point:
        generator = torch.Generator().manual_seed(0)
        numbers = torch.rand(like.shape, generator=generator)
        return numbers.to(like.dtype)
    return torch.zeros(like.shape, dtype=like.dtype)


def place():
    """`file function` of this package, and of who else was called by it."""
    theirs, frame = "", sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        here = f"{frame.f_code.co_name}"
        if name.startswith(OURS):
            file = name[len(OURS) :]
            return f"{file} {here}" + (f" <- {theirs}" if theirs else "")
        for package, root in THEIRS.items():
            if name.startswith(root) and "/torch/_" not in name:
                theirs = f"{package}/{name[len(root) :]} {here}"
        frame = frame.f_back
    return theirs or "autograd"


class Watch(TorchDispatchMode):
    """Runs what is on the CPU, watches what is on the device."""

    def __init__(self):
        super().__init__()
        self.alive, self.sizes = 0, weakref.WeakKeyDictionary()
        self.reset()

    def reset(self):
        """Begins to count anew; what is alive stays."""
        self.waits = collections.Counter()
        self.kernels, self.flops, self.copied = 0, 0, 0
        self.peak = self.alive
        self.seconds = dict.fromkeys(DEVICES, 0.0)

    def wait(self, kind):
        """Writes down that the host waits."""
        self.waits[f"{kind}: {place()}"] += 1

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        given = tree_leaves((args, kwargs))
        target = torch.device(kwargs.get("device") or "cpu").type
        if not any(map(on_cuda, given)) and target != "cuda":
            with fake_tensor.unset_fake_temporarily():
                return func(*args, **kwargs)
        if name == "_local_scalar_dense":
            self.wait("item")
            kind = args[0].dtype
            return True if kind == torch.bool else 0.5 * kind.is_floating_point
        if name in ("_to_copy", "copy_"):
            host = self.note_copy(name, args, kwargs)
            if host is not None:
                return host
        if name in SYNCING:
            self.wait(name)
            return self.of_unknown_size(name, args, kwargs)
        if name.startswith(("index", "_index_put", "_unsafe_index")):
            args = self.without_masks(name, args)
        out = func(*args, **kwargs)
        self.count(func, name, given, args, kwargs, out)
        return out

    def note_copy(self, name, args, kwargs):
        """A copy between host and device; the copy, if it is for the host."""
        source = args[1] if name == "copy_" else args[0]
        target = args[0].device if name == "copy_" else kwargs.get("device")
        target = torch.device(target or source.device).type
        asynchronous = kwargs.get("non_blocking") or (
            name == "copy_" and len(args) > 2 and args[2]
        )
        if on_cuda(source) and target == "cpu":
            self.wait("to the host")
            with fake_tensor.unset_fake_temporarily():
                found = made_up(source).to(kwargs.get("dtype") or source.dtype)
                return args[0].copy_(found) if name == "copy_" else found
        if not on_cuda(source) and target == "cuda":
            self.copied += source.numel() * source.element_size()
            if not asynchronous:
                self.wait("to the device")
        return None

    def of_unknown_size(self, name, args, kwargs):
        """As large as can be: all true, all different."""
        x = args[0]
        if name == "equal":
            return True
        if name == "bincount":
            size = kwargs.get("minlength") or (args[2] if args[2:] else 1)
            return x.new_zeros(size)
        if name == "nonzero":
            return x.new_zeros((x.numel(), x.ndim), dtype=torch.long)
        if name == "masked_select":
            return x.flatten()
        counts = torch.zeros_like(x.flatten(), dtype=torch.long)
        return x.flatten(), counts, counts

    def without_masks(self, name, args):
        """Boolean masks as if all were true; they and host indices wait."""
        indices = []
        for index in args[1] if isinstance(args[1], (list, tuple)) else []:
            if index is not None and index.dtype == torch.bool:
                # one number at one mask is a masked fill
                if "put" not in name or args[2].numel() > 1:
                    self.wait("mask")
                index = torch.arange(len(index), device=index.device)
            elif index is not None and not on_cuda(index):
                self.wait("to the device")
            indices.append(index)
        return (args[0], indices, *args[2:]) if indices else args

    def count(self, func, name, given, args, kwargs, out):
        """Kernels, arithmetic, bytes alive, and the time of a roofline."""
        results = [x for x in tree_leaves(out) if on_cuda(x)]
        returns = func._schema.returns
        alias = returns[0].alias_info if returns else None
        if (
            name in SILENT
            or name.startswith("prim")
            or (alias is not None and not alias.is_write)
        ):
            return
        for x in results:
            self.follow(x.untyped_storage())
        if name.startswith("empty"):
            return
        flops = 0
        if func._overloadpacket in flop_registry:
            formula = flop_registry[func._overloadpacket]
            flops = formula(*args, **kwargs, out_val=out)
        touched = [x for x in given if on_cuda(x)]
        half = bool(touched) and touched[0].dtype.itemsize == 2
        if not name.endswith("_"):
            touched += results
        size = sum(x.numel() * x.element_size() for x in touched)
        if name.split(".")[0] in ("index", "gather", "embedding", "index_put_"):
            size = 3 * sum(x.numel() * x.element_size() for x in results)
        self.kernels += 1
        self.flops += flops
        for device, (single, tf32, fast, memory) in DEVICES.items():
            speed = fast if half else tf32 if "conv" in name else single
            self.seconds[device] += max(
                flops / speed / 0.6e12, size / memory / 0.8e12, 2e-6
            )

    def follow(self, storage):
        """Counts the bytes of a storage until it is gone."""
        if storage in self.sizes:
            return
        self.sizes[storage] = size = storage.nbytes()
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self.forget, size)

    def forget(self, size):
        """Memory that was given back."""
        self.alive -= size


# --------------------------------- the stage --------------------------------


def make_world(folder, num_utterances, num_clusters, dim):
    """A prepared folder and a label folder without any audio or image."""
    rows = [
        f"s{i // 5}/{i},s{i // 5}/{i}.wav,8.0,128000,16000,{i // 5}"
        for i in range(num_utterances)
    ]
    text = "ID,wav,duration,num_frames,sample_rate,session\n"
    table_csv = folder / "train.csv"
    table_csv.write_text(text + "\n".join(rows) + "\n")
    table = Utterances.from_csv(table_csv)
    frames = (f"{id},{id},0.jpg/1.jpg" for id in table.ids)
    (folder / "frames.csv").write_text("ID,source,frames\n" + "\n".join(frames))
    speakers = (f"{id},{i % 50}" for i, id in enumerate(table.ids))
    (folder / "speakers.csv").write_text("ID,speaker\n" + "\n".join(speakers))
    generator = np.random.default_rng(0)
    clusters = Clusters(
        np.arange(num_utterances) % num_clusters,
        generator.normal(size=(num_clusters, dim)),
        np.zeros(num_utterances, np.float32),
    )
    write_pseudo_labels(folder / "labels", table, clusters)


def make_batch(views, size, rate, image_views, image_size):
    """A batch as `collate` makes it; its numbers are those of the memory."""

    def rows(share, num, length):
        index = torch.arange(round(share * num))
        return Rows(index, torch.empty(len(index), length))

    batch = []
    for view in views:
        length, num = round(view.seconds[1] * rate), size * view.num
        wave = torch.empty(size, view.num, length)
        plan = ()
        if view.augment is not None:
            kinds = view.augment.requested
            noisy, roomy = (
                view.augment.prob
                * sum(kind in (own, "both") for kind in kinds)
                / len(kinds)
                for own in ("noise", "reverb")
            )
            plan = (
                rows(noisy, num, length),
                torch.empty(size, view.num),
                rows(roomy, num, view.augment.rir_length),
            )
        batch.append(ViewBatch(wave, *plan))
    shape = size, 3, image_size, image_size
    images = [torch.empty(shape, dtype=torch.uint8) for _ in image_views]
    return CropBatch(torch.arange(size), tuple(batch), tuple(images))


def make_brain(yaml, arguments, folder):
    """(Brain, batch) of a stage, with the YAML's values."""
    keys = set(command_line.read_yaml(command_line.find(yaml)))
    own = {
        "data_folder": "unused",
        "frames_folder": "unused",
        "prepared_folder": folder,
        "output_folder": folder / "output",
        "label_folder": folder / "labels",
        "encoder_folder": "null",
        "proxy_utterances": 0,
        "probe_every": 1,
        "ordinary_epochs": 1,
        "cluster_every": 1,
        "tensorboard": False,
        "num_workers": 0,
        "head_at_means": False,  # there is no audio
    }
    own = [f"--{key}={value}" for key, value in own.items() if key in keys]
    path, run_options, overrides = command_line.parse(
        [yaml, *own, *arguments, "--device=cuda:0"]
    )
    hparams = command_line.load(path, overrides)
    num_clusters = hparams.get("num_clusters", 50)
    make_world(folder, 20000, num_clusters, hparams["emb_dim"])
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_options,
    )
    brain.hparams.embed = embed
    if "cluster" in hparams:  # the device has no part in it
        brain.hparams.cluster = functools.partial(
            kmeans, num_clusters=20, num_iters=1
        )
    batch = make_batch(
        hparams["views"],
        hparams["batch_size"],
        hparams["sample_rate"],
        hparams.get("image_views", []),
        hparams.get("image_size", 0),
    )
    return brain, batch


def embed(encode, table, device, progress):
    """As `ssrl_brain.evaluation.embed.embed`, of two made-up utterances."""
    wave, lengths = torch.zeros(2, 48000), torch.tensor([1.0, 0.8])
    found = encode(wave.to(device), lengths.to(device)).cpu()
    repeats = -(-len(table) // 2)
    return found.repeat(repeats, 1)[: len(table)]


def measure(yaml, arguments, folder):
    """One line of figures of a stage; see the top of this file."""
    figures = {"stage": Path(yaml).stem}
    with fake_cuda() as watch:
        brain, batch = make_brain(yaml, arguments, Path(folder))
        figures |= {"batch": len(batch.index), "precision": brain.precision}
        start(brain)
        sent = [x.numel() * x.element_size() for x in tensors(batch)]
        figures["copied_mb"] = round(sum(sent) / 1e6, 1)
        figures["state_gb"] = round(watch.alive / 1e9, 2)
        for _ in range(2 * brain.grad_accumulation_factor):
            watch.reset()
            step(brain, batch)
        utterances = len(batch.index)
        figures |= {
            "waits": dict(watch.waits),
            "kernels": watch.kernels,
            "gflop_per_utterance": round(watch.flops / 1e9 / utterances, 1),
            "peak_gb": round(watch.peak / 1e9, 1),
            "seconds": {k: round(v, 3) for k, v in watch.seconds.items()},
        }
        watch.reset()
        brain.on_stage_end(sb.Stage.TRAIN, brain.avg_train_loss, brain.epoch)
        figures["waits_of_epoch_end"] = dict(watch.waits)
    return figures


def start(brain):
    """What `fit` does before the first step, in the second epoch."""
    brain.make_dataloader(brain.hparams.make_train_set(), sb.Stage.TRAIN)
    brain.on_fit_start()
    brain.on_stage_start(sb.Stage.TRAIN, epoch=2)  # all of DINO learns
    brain.modules.train()


def step(brain, batch):
    """What `fit` does with a batch."""
    brain.step += 1
    loss = brain.fit_batch(batch)
    brain.avg_train_loss = brain.update_average(loss, brain.avg_train_loss)


def main():
    """Command line."""
    if {"-h", "--help"} & set(sys.argv):
        sys.exit(__doc__.strip())
    yamls = [x for x in sys.argv[1:] if not x.startswith("-")]
    rest = [x for x in sys.argv[1:] if x.startswith("-")]
    failed = False
    for yaml in yamls:
        with tempfile.TemporaryDirectory() as folder:
            try:
                figures = measure(yaml, rest, folder)
            except Exception as error:  # the other stages are still of interest
                traceback.print_exc()
                failed = True
                text = " ".join(str(error).split())
                figures = {"stage": Path(yaml).stem, "error": text}
        print(json.dumps(figures), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
