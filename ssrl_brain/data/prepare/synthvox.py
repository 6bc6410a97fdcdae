#!/usr/bin/env python3
"""Makes a synthetic corpus in the shape of VoxCeleb, MUSAN and RIRS_NOISES.

All speech comes from eSpeak NG (PyPI package ``espeakng-loader``): a speaker is
a voice variant with its own pitch, formants, breath, rate and accent; a session
has its own room, frequency response, background noise and level. Nothing is
downloaded, and the same seed gives the same bytes. The corpus serves tests and
demonstrations; error rates on it say nothing about VoxCeleb.

    python prepare/synthvox.py DEST --num_train_speakers 48 --seed 1986
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import tempfile
from functools import partial

import numpy as np
import soundfile
from tqdm import tqdm

from ssrl_brain.data.prepare import drawn_faces
from ssrl_brain.data.prepare.drawn_sounds import (
    draw_music,
    draw_noise,
    draw_room,
    draw_session,
)
from ssrl_brain.data.prepare.drawn_trials import draw_trials
from ssrl_brain.data.prepare.espeak import (
    SAMPLE_RATE,
    draw_speech,
    draw_stranger,
    draw_voice,
    integers,
    open_voice,
)
from ssrl_brain.system.files import write_json

NUM_TRIALS = 4000
TRIAL_LIST = "synthetic_trials.txt"  # never to be taken for VoxCeleb's
# First number of a random stream, so that no two parts share their numbers.
VOICES, SPEECH, TRIALS, CLIPS, FACES = range(5)
WITHOUT_FACE = 0.02  # share of utterances whose video is missing
README = """Synthetic speech in the shape of VoxCeleb, MUSAN and RIRS_NOISES.

All speech is made by eSpeak NG, with voices, rooms, noises and words drawn at
random; nobody was recorded. Error rates on it do not compare to VoxCeleb's.

Made by prepare/synthvox.py with {}
"""
FACES_README = """
voxceleb_frames holds one image a second of the voices to train on: faces drawn
by a program, nobody was photographed. A few utterances have none.
"""


CLIP_FOLDERS = (  # folder, number of clips, what they are, seconds from and to
    ("musan/noise/synth", 30, draw_noise, 5, 8),
    ("musan/music/synth", 15, draw_music, 5, 8),
    ("musan/speech/synth", 30, draw_stranger, 5, 8),
    ("RIRS_NOISES/simulated_rirs/smallroom/Room001", 30, draw_room, 0.1, 0.3),
    ("RIRS_NOISES/simulated_rirs/mediumroom/Room001", 30, draw_room, 0.3, 0.7),
)


def write_wav(path, samples):
    """Writes 16-bit audio, made softer where it would clip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = samples / max(1, np.abs(samples).max() / 0.99)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")


def make_speaker(folder, stream, voice, sessions, utterances, faces=None):
    """Writes ``folder/s01/00001.wav`` and so on, all of one voice.

    With ``faces``, another folder and random stream, also frames of one face:
    ``s01/00001/0001.jpg`` and so on, one for each second.
    """
    rng = np.random.default_rng(stream)
    if faces is not None:
        faces, stream = faces
        look = np.random.default_rng(stream)
        face = drawn_faces.draw_face(look)
    with open_voice(voice) as say:
        for session in range(1, sessions + 1):
            record = draw_session(rng)
            if faces is not None:
                scene = drawn_faces.draw_session(look)
            for utterance in range(1, utterances + 1):
                path = folder / f"s{session:02d}" / f"{utterance:05d}.wav"
                speech = draw_speech(rng, say, rng.uniform(3, 6))
                write_wav(path, record(speech))
                if faces is not None and look.random() >= WITHOUT_FACE:
                    place = faces / path.relative_to(folder).with_suffix("")
                    number = len(speech) // SAMPLE_RATE
                    drawn_faces.write_frames(place, look, face, scene, number)


def make_clips(folder, stream, count, draw, shortest, longest):
    """Writes ``count`` clips of ``shortest`` to ``longest`` seconds."""
    rng = np.random.default_rng(stream)
    for number in range(1, count + 1):
        clip = draw(rng, rng.uniform(shortest, longest))
        write_wav(folder / f"{number:05d}.wav", 0.9 * clip / np.abs(clip).max())


def run(job):
    """Calls a job; a function by name, for that is what processes exchange."""
    job()


def make_audio(
    folder, voices, sessions, utterances, seed, num_workers, with_face=()
):
    """Writes all audio, and the faces of some voices.

    Every job has a random stream of its own.
    """
    jobs = []
    for number, (speaker, voice) in enumerate(voices.items()):
        place, stream = (
            folder / "voxceleb/wav" / speaker,
            (seed, SPEECH, number),
        )
        faces = folder / "voxceleb_frames" / speaker, (seed, FACES, number)
        jobs.append(
            partial(
                make_speaker,
                place,
                stream,
                voice,
                sessions,
                utterances,
                faces if speaker in with_face else None,
            )
        )
    for number, (place, *recipe) in enumerate(CLIP_FOLDERS):
        stream = (seed, CLIPS, number)
        jobs.append(partial(make_clips, folder / place, stream, *recipe))
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(num_workers, spawn) as pool:
        done = map(run, jobs) if num_workers == 1 else pool.map(run, jobs)
        for _ in tqdm(done, "synthesis", len(jobs), disable=None):
            pass


def make_tables(folder, voices, test_speakers, seed):
    """Writes the trials and, for analysis only, what was drawn of whom."""
    wav = folder / "voxceleb" / "wav"
    files = sorted(f.relative_to(wav).as_posix() for f in wav.rglob("*.wav"))
    files = [file for file in files if file.split("/")[0] in test_speakers]
    sex = {speaker: voice["sex"] for speaker, voice in voices.items()}
    rng = np.random.default_rng((seed, TRIALS))
    trials = draw_trials(rng, files, sex, NUM_TRIALS)
    (wav.parent / TRIAL_LIST).write_text("\n".join(trials) + "\n")

    rows = [["id", "split", *next(iter(voices.values()))]]
    for speaker, voice in voices.items():
        split = "test" if speaker in test_speakers else "train"
        drawn = voice.values()
        cells = [v if isinstance(v, str) else integers(v) for v in drawn]
        rows.append([speaker, split, *cells])
    table = "\n".join("\t".join(row) for row in rows) + "\n"
    (folder / "speakers.tsv").write_text(table)


def is_made(folder, readme):
    """Whether the corpus is there; refuses a folder with anything else."""
    if not folder.exists():
        return False
    note = folder / "README.txt"
    if note.is_file() and note.read_text() == readme:
        return True
    raise FileExistsError(
        f"{folder} exists and was not made with these options: remove it or "
        "name another folder"
    )


def make_corpus(
    folder,
    num_train_speakers=48,
    num_test_speakers=16,
    sessions=4,
    utterances=5,
    seed=1986,
    num_workers=None,
    faces=False,
):
    """Makes the corpus, whole or not at all.

    Arguments
    ---------
    folder : str or pathlib.Path
        New folder; where it already holds this very corpus, nothing is done.
    num_train_speakers, num_test_speakers : int
        Number of voices; only the latter appear in the trials.
    sessions, utterances : int
        Sessions of each voice, utterances of each session.
    seed : int
        Determines every byte.
    num_workers : int, optional
        Processes, by default as many as processors; 1 starts none.
    faces : bool
        Whether the voices to train on get faces, in ``voxceleb_frames``.

    Raises
    ------
    ValueError
        When the numbers leave no trials to draw.
    FileExistsError
        When the folder holds anything else.
    """
    folder = pathlib.Path(folder)
    if min(num_train_speakers, utterances) < 1:
        raise ValueError("num_train_speakers and utterances: at least 1")
    if min(num_test_speakers, sessions) < 2:
        raise ValueError("num_test_speakers and sessions: at least 2")
    readme = README.format(
        f"{num_train_speakers=} {num_test_speakers=} {sessions=} "
        f"{utterances=} {seed=}" + (" faces=True" if faces else "")
    ) + (FACES_README if faces else "")
    if is_made(folder, readme):
        print(f"{folder}: already made with these options, nothing to do")
        return
    rng = np.random.default_rng((seed, VOICES))
    voices = {  # sexes in pairs: two voices suffice for a same-sex trial
        f"id{20001 + number}": draw_voice(rng, "ffmm"[number % 4])
        for number in range(num_train_speakers + num_test_speakers)
    }
    test_speakers = list(voices)[num_train_speakers:]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
        new = pathlib.Path(new) / folder.name
        num_workers = num_workers or os.cpu_count()
        with_face = list(voices)[:num_train_speakers] if faces else ()
        make_audio(
            new, voices, sessions, utterances, seed, num_workers, with_face
        )
        make_tables(new, voices, test_speakers, seed)
        (new / "README.txt").write_text(readme)
        about = {"name": "eSpeak NG voices in random rooms", "synthetic": True}
        write_json(new / "voxceleb" / "corpus.json", about)
        new.rename(folder)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", metavar="DEST", help="new folder")
    for name, default, meaning in (
        ("num_train_speakers", 48, "voices to train on"),
        ("num_test_speakers", 16, "voices of the trials"),
        ("sessions", 4, "sessions of each voice"),
        ("utterances", 5, "utterances of each session"),
        ("seed", 1986, "determines every byte"),
        ("num_workers", None, "processes; default: all processors"),
    ):
        parser.add_argument(
            f"--{name}", type=int, default=default, help=meaning
        )
    parser.add_argument(
        "--faces", action="store_true", help="draws faces of voices as well"
    )
    make_corpus(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
