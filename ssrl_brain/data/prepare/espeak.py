"""Voices of eSpeak NG with traits drawn at random.

eSpeak NG comes with the PyPI package ``espeakng-loader``. A voice is one of
its variants: pitch, formants, breath, rate and accent of its own.
"""

import _ctypes  # for dlclose, which ctypes itself does not offer
import contextlib
import ctypes
import os
import pathlib
import shutil
import tempfile

import espeakng_loader
import numpy as np
from scipy.signal import resample_poly

SAMPLE_RATE = 16000
ESPEAK_RATE = 22050  # fixed by eSpeak's data
ACCENTS = """gmw/en gmw/en-US gmw/en-GB-scotland gmw/en-GB-x-rp gmw/de gmw/nl
roa/fr roa/es roa/it roa/pt zlw/pl""".split()  # in espeak-ng-data/lang
ONSETS = "b d f g k l m n p r s t v z bl br dr fl gr kl pl pr st tr".split()
CODAS = ["", "", "", *"lmnrst"]


def draw_voice(rng, sex):
    """Draws the constant traits of one speaker, "f" or "m".

    Returns
    -------
    dict
        Accent; pitch from and to, in Hz; nine formants (the first is nasal) in
        percent of eSpeak's own; gains at 600, 1200, 2000 and 3000 Hz; eSpeak's
        numbers for the quality of a voice.
    """
    pitch = {"f": 168, "m": 95}[sex] * np.exp(rng.normal(0, 0.15))
    tract = {"f": 113, "m": 97}[sex] * np.exp(rng.normal(0, 0.05))
    return {
        "sex": sex,
        "language": str(rng.choice(ACCENTS)),
        "pitch": [pitch, pitch * rng.uniform(1.2, 1.7)],
        "formants": tract * rng.normal(1, 0.05, 9),
        "heights": 100 * np.exp(rng.normal(0, 0.3, 9)),
        "widths": 100 * np.exp(rng.normal(0, 0.3, 9)),
        "tone": np.clip(rng.normal([200, 150, 120, 110], 40), 0, 255),
        "breath": rng.uniform(0, 12, 8) * rng.integers(0, 2),  # half have none
        "consonants": rng.uniform(60, 130, 2),
        "flutter": [rng.uniform(0, 9)],
        "roughness": [rng.uniform(0, 6)],
        "voicing": [rng.uniform(70, 120)],
        "speed": [rng.uniform(85, 120)],
    }


def integers(values):
    """Writes numbers as integers: [1.6, 2] becomes "2 2"."""
    return " ".join(str(round(value)) for value in values)


def variant_text(voice):
    """Writes a voice as an eSpeak NG voice variant file."""
    lines = ["language variant"]
    traits = [voice["formants"], voice["heights"], voice["widths"]]
    for formant, numbers in enumerate(np.transpose(traits)):
        lines.append(f"formant {formant} {integers(numbers)}")
    tone = np.stack([[600, 1200, 2000, 3000], voice["tone"]], axis=1)
    lines.append(f"tone {integers(tone.ravel())}")
    for (
        key
    ) in "pitch breath consonants flutter roughness voicing speed".split():
        lines.append(f"{key} {integers(voice[key])}")
    return "\n".join(lines) + "\n"


def lay_out_data(folder, voice):
    """Links to the data that is installed and adds the voice to it."""
    installed = pathlib.Path(espeakng_loader.get_data_path())
    home = folder / "espeak-ng-data"
    variants = home / "voices" / "!v"
    variants.mkdir(parents=True)
    (variants / "drawn").write_text(variant_text(voice))
    dictionary = voice["language"].split("/")[1][:2] + "_dict"
    tables = {"phondata", "phonindex", "phontab", "intonations", "lang"}
    for name in tables | {"en_dict", dictionary}:
        (home / name).symlink_to(installed / name)


@contextlib.contextmanager
def open_voice(voice):
    """Opens eSpeak as a function from text to samples at its own rate.

    eSpeak keeps state that no call resets, such as the phase of its flutter. A
    fresh copy of the library per speaker makes what one says independent of
    who spoke before, so of the number of processes.
    """
    pieces = []
    short_pointer = ctypes.POINTER(ctypes.c_short)

    @ctypes.CFUNCTYPE(
        ctypes.c_int, short_pointer, ctypes.c_int, ctypes.c_void_p
    )
    def collect(samples, length, _events):
        if samples and length > 0:
            pieces.append(np.ctypeslib.as_array(samples, (length,)) / 32768)
        return 0  # go on

    def expect(result, expected, action):
        if result != expected:
            raise RuntimeError(
                f"eSpeak NG cannot {action} ({voice['language']}, result "
                f"{result}): reinstall the package espeakng-loader"
            )

    def say(text):
        pieces.clear()
        text = text.encode()
        # from character (1) 0 to the end (0), as UTF-8 (1)
        request = (text, len(text) + 1, 0, 1, 0, 1, None, None)
        expect(espeak.espeak_Synth(*request), 0, "speak")
        return np.concatenate(pieces)

    with tempfile.TemporaryDirectory() as folder:
        lay_out_data(pathlib.Path(folder), voice)
        library = shutil.copy(espeakng_loader.get_library_path(), folder)
        espeak = ctypes.CDLL(library)
        # 2: return when all is spoken; 0x8000: report failures, do not exit
        rate = espeak.espeak_Initialize(2, 0, os.fsencode(folder), 0x8000)
        expect(rate, ESPEAK_RATE, "start")
        espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))
        espeak.espeak_SetSynthCallback(collect)
        name = voice["language"].encode() + b"+drawn"
        expect(espeak.espeak_SetVoiceByName(name), 0, "select the voice")
        yield say
        espeak.espeak_Terminate()
        _ctypes.dlclose(espeak._handle)


def unit_power(samples):
    """Scales samples to a mean square of one."""
    return samples / np.sqrt(np.mean(samples**2))


def draw_sentence(rng):
    """Makes up words, so that what is said does not tell who says it."""
    words = [
        "".join(
            rng.choice(ONSETS) + rng.choice(list("aeiou")) + rng.choice(CODAS)
            for _ in range(rng.integers(1, 4))
        )
        for _ in range(rng.integers(4, 9))
    ]
    return " ".join(words) + rng.choice([".", "?", ","])


def draw_speech(rng, say, seconds):
    """Speaks sentence after sentence; (T,) at 16 kHz, of unit power."""
    pieces, missing = [], int(seconds * ESPEAK_RATE)
    while missing > 0:
        piece = say(draw_sentence(rng))
        loud = np.flatnonzero(np.abs(piece) > 0.01)
        pieces.append(piece[loud[0] : loud[-1] + ESPEAK_RATE // 10][:missing])
        missing -= len(pieces[-1])
    return unit_power(resample_poly(np.concatenate(pieces), 320, 441))


def draw_stranger(rng, seconds):
    """Draws speech of a voice that is heard nowhere else."""
    with open_voice(draw_voice(rng, rng.choice(["f", "m"]))) as say:
        return draw_speech(rng, say, seconds)
