"""The whole chain on 300 files as strangers have them.

    python tests/soak_audio.py --output_folder=results/soak_audio

8 to 48 kHz, mono and stereo, wav, flac, ogg, opus, mp3 and m4a, 1.5 s to ten
minutes, odd names, and some files that are none. Runs chains/ssrl.yaml with
hparams/mini.yaml and tiny epochs, as a user would, and prints what was used,
what was left out and the table.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import sounds  # noqa: E402
from tqdm import tqdm  # noqa: E402

SUFFIXES = ("wav", "flac", "ogg", "opus", "mp3", "m4a")
RATES = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "mp3": (16000, 22050, 24000, 32000, 44100, 48000),
}
ANY_RATE = (8000, 11025, 16000, 22050, 32000, 44100, 48000)
NAMES = (
    "plain",
    "with space",
    "Ünïcode 声音",
    "dots.in.name",
    "#hash & percent%20",
    "quote'd (1)",
    "-dash",
    "100=1,5",
)
LONG = {7: 600.0, 150: 240.0, 151: 90.0}  # seconds, by number of the file


def speech(generator, speaker, seconds, rate, channels):
    """(T, channels) a buzz whose pitch and resonance belong to the speaker."""
    time = np.arange(int(seconds * rate)) / rate
    pitch = 90 + 12 * speaker + 3 * generator.standard_normal()
    phase = 2 * np.pi * np.cumsum(pitch + 5 * np.sin(3 * time)) / rate
    resonance = 500 + 150 * speaker
    wave = 0.05 * generator.standard_normal(len(time))
    for n in range(1, 1 + int(min(20, rate / 2 / pitch - 1))):
        gain = np.exp(-(((n * pitch - resonance) / 400) ** 2)) + 0.05
        wave += gain * np.sin(n * phase)
    wave *= 0.6 + 0.4 * np.sin(2 * np.pi * generator.uniform(2, 5) * time)
    gains = np.linspace(1, 0.5, channels)
    return (0.3 / np.abs(wave).max() * wave[:, None] * gains).astype("f4")


def make_folder(folder, number=300):
    """Writes the files; returns how many can be used."""
    generator = np.random.default_rng(1986)
    for n in tqdm(range(number), desc="Writing audio", disable=None):
        suffix = SUFFIXES[n % len(SUFFIXES)]
        rate = int(generator.choice(RATES.get(suffix, ANY_RATE)))
        channels = 1 + n % 2
        seconds = LONG.get(n, float(1.5 + generator.gamma(2.0, 4.0)))
        wave = speech(generator, n % 20, seconds, rate, channels)
        place = folder / NAMES[n % len(NAMES)] / f"sub {n % 3}"
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{NAMES[(n // 8) % len(NAMES)]} {n}.{suffix}"
        kind = "opus" if suffix == "opus" else suffix
        sounds.KINDS[kind][1](path, wave, rate)
    (folder / "empty.wav").touch()
    (folder / "text.mp3").write_text("no sound\n")
    (folder / "notes.txt").write_text("notes\n")
    return number


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output_folder", required=True)
    parser.add_argument("--files", type=int, default=300)
    given = parser.parse_args()
    output = pathlib.Path(given.output_folder).resolve()
    audio = output / "audio"
    if not audio.is_dir():
        make_folder(audio, given.files)
    command = [
        sys.executable,
        "pipeline.py",
        "chains/ssrl.yaml",
        "hparams/mini.yaml",
        f"--data_folder={audio}",
        f"--output_folder={output / 'chain'}",
        "--num_clusters=20",
        "--number_of_epochs=2",
        "--num_restarts=2",
        "--batch_size=32",
        "--device=cpu",
        "--noprogressbar",
    ]
    recipe = ROOT / "recipes/VoxCeleb/ssrl"
    done = subprocess.run(command, cwd=recipe)
    if done.returncode:
        sys.exit("the chain did not finish")
    path = output / "chain/prepared/prepared.json"
    print(json.dumps(json.loads(path.read_text())["counts"], indent=2))


if __name__ == "__main__":
    main()
