"""Fixtures shared by all tests."""

import hashlib
import os
import pathlib
import sys

import numpy as np
import pytest
import soundfile
import speechbrain  # noqa: F401
from PIL import Image
from speechbrain.utils.importutils import LazyModule

from ssrl_brain.commands.command_line import read_yaml

# The hypothesis plugin looks into every imported module; SpeechBrain's lazy
# ones would then try to import packages that are not installed.
for name, module in list(sys.modules.items()):
    if isinstance(module, LazyModule):
        del sys.modules[name]

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "VoxCeleb" / "ssrl"
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/training")]


def state_of(root):
    """Everything below a folder: names, kinds, times, contents."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = ""
        if path.is_file() and not path.is_symlink():
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "md5").hexdigest()
        found[os.fsencode(path)] = (status.st_mode, status.st_mtime_ns, content)
    return found


@pytest.fixture(scope="session")
def repository():
    """Root folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def recipe():
    """Folder of the recipe's scripts."""
    return RECIPE


RATE = 16000
TINY = {
    "channels": "[8, 8, 8, 8, 24]",
    "attention_channels": 4,
    "emb_dim": 8,
    "n_mels": 16,
    "win_length": 20,
    "batch_size": 8,
    "number_of_epochs": 2,
    "num_workers": 0,
    "tensorboard": False,
    "rir_seconds": 0.05,
    "pitch_prob": 0.5,
    "tempo_prob": 0.5,
    "global_seconds": 0.6,
    "local_seconds": 0.4,
    "head_dims": "[16, 8]",
    "num_prototypes": 12,
    "warmup_epochs": 1,
    "crop_seconds": "[0.4, 0.6]",
    "student_seconds": 0.4,
    "teacher_seconds": 0.6,
    "num_clusters": 7,
    "positive_clusters": 7,
    "label_fraction": 0.75,
    "ordinary_epochs": 1,
    "cluster_every": 1,
    "probe_every": 1,
    "min_seconds": 0.3,
    "num_bootstraps": 20,
    "proxy_seconds": 0.3,
    "image_size": 16,
    "visual_channels": "[4, 4, 4, 8]",
    "visual_block_sizes": "[1, 1, 1, 1]",
    "visual_emb_dim": 6,
}


def voice(generator, speaker, seconds):
    """A buzz whose pitch and one resonance belong to the speaker."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = (90 + 25 * speaker) * (1 + 0.02 * generator.standard_normal())
    resonance = 500 + 300 * speaker
    harmonics = pitch * np.arange(1, 40)
    weights = np.exp(-(((harmonics - resonance) / 400) ** 2)) + 0.02
    phases = generator.uniform(0, 2 * np.pi, len(harmonics))
    wave = sum(
        w * np.sin(2 * np.pi * h * time + p)
        for w, h, p in zip(weights, harmonics, phases, strict=True)
    )
    rhythm = 0.6 + 0.4 * np.sin(2 * np.pi * generator.uniform(2, 5) * time)
    wave = wave * rhythm + 0.05 * generator.standard_normal(len(time))
    return 0.3 * wave / np.abs(wave).max()


def write(path, wave):
    """16-bit WAV at 16 kHz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE, subtype="PCM_16")


def write_faces(folder, generator, speaker, number):
    """Some frames of the colour of a speaker."""
    folder.mkdir(parents=True)
    for frame in range(number):
        colour = np.array([30 * speaker, 255 - 30 * speaker, 99])
        pixels = colour + generator.integers(-20, 20, (20, 16, 3))
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        image.save(folder / f"{frame:04d}.jpg")


def make_corpus(root):
    """Writes a corpus; returns the options that point a stage to it."""
    generator = np.random.default_rng(0)
    for speaker in range(7):
        for session in range(2):
            for utterance in range(3):
                write(
                    root
                    / f"voxceleb/wav/id{speaker:05d}/s{session}/{utterance}.wav",
                    voice(generator, speaker, generator.uniform(0.5, 1.1)),
                )
    lines = [
        f"{int(a == b)} id{a:05d}/s0/{i}.wav id{b:05d}/s1/{i}.wav\n"
        for a in (4, 5, 6)
        for b in (4, 5, 6)
        for i in range(3)
    ]
    (root / "voxceleb/trials.txt").write_text("".join(lines))
    for kind in ("noise", "music", "speech"):
        for number in range(3):
            write(
                root / f"musan/{kind}/a/{number}.wav",
                0.1 * generator.standard_normal(RATE // 2),
            )
    faces = np.random.default_rng(1)
    for path in sorted((root / "voxceleb/wav").rglob("*.wav")):
        place = path.relative_to(root / "voxceleb/wav").with_suffix("")
        speaker = int(place.parts[0][2:])
        if speaker < 4:
            folder = root / "faces" / place
            write_faces(folder, faces, speaker, faces.integers(1, 4))
    decay = np.exp(-np.arange(800) / 100)
    for room in range(2):
        write(
            root / f"RIRS_NOISES/simulated_rirs/smallroom/Room1/{room}.wav",
            0.3 * decay * generator.standard_normal(800),
        )
    return {
        "data_folder": root / "voxceleb",
        "trial_lists": "trials.txt",
        "noise_folder": root / "musan",
        "rir_folder": root / "RIRS_NOISES",
        "frames_folder": root / "faces",
    }


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory):
    """Four training and three test voices in VoxCeleb's layout.

    Returns the options that point a stage to it.
    """
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def arguments(yaml, **options):
    """Command line of a script for a stage YAML and options."""
    keys = set(read_yaml(ROOT / "hparams" / yaml))
    return [
        str(ROOT / "hparams" / yaml),
        "--device=cpu",
        "--noprogressbar",
        *(
            f"--{key}={value}"
            for key, value in {**TINY, **options}.items()
            if key in keys
        ),
    ]


@pytest.fixture(scope="session")
def command():
    """Makes the command line of a tiny run."""
    return arguments


def make_start(root, corpus, more=()):
    """Makes what a stage may start from; returns the options with it."""
    from ssrl_brain.commands import label, train

    options = {**corpus, "prepared_folder": root / "prepared"}
    line = arguments(
        "contrastive.yaml",
        **{**options, "number_of_epochs": 0},
        output_folder=root / "untrained",
    )
    train.main([*line, *more])
    inputs = {
        **options,
        "encoder_folder": root / "untrained/export",
        "label_folder": root / "labels",
    }
    label.main(arguments("pseudo_label.yaml", **inputs))
    return inputs


@pytest.fixture(scope="session")
def start(tiny_corpus, tmp_path_factory):
    """An untrained encoder folder and a label folder made with it."""
    return make_start(tmp_path_factory.mktemp("start"), tiny_corpus)
