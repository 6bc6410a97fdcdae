"""A few seconds of utterances, inside of the page."""

import base64
import io

import numpy as np
import soundfile

from ssrl_brain.data.audio import length_at, read_excerpts
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.report.page import Html, missing
from ssrl_brain.system.files import read_json

SECONDS = 3.0
RATE = 16000
MAX_BYTES = 1_500_000  # of all clips of a page, as they stand in it


class NoClips:
    """A page without voices."""

    note = ""

    def of(self, utterance):
        """Nothing to play."""
        return Html("")


class Clips:
    """Players of utterances of a prepared corpus, as long as there is room.

    Arguments
    ---------
    prepared : Path
        Prepared folder, with the audio where it was.
    max_bytes : int
    """

    def __init__(self, prepared, max_bytes=MAX_BYTES):
        summary = read_json(prepared / "prepared.json")
        self.folder = summary["made_from"]["data_folder"]
        self.table = Utterances.from_csv(prepared / "train.csv")
        self.row_of = {name: row for row, name in enumerate(self.table.ids)}
        self.left = max_bytes
        self.note = (
            "The page holds these clips: whoever gets it hears the voices. "
            "report.py --no_audio leaves them out."
        )

    def of(self, utterance):
        """HTML of a player, or of a word why there is none."""
        row = self.row_of.get(utterance)
        if row is None:
            return missing("Not among the prepared utterances.")
        if self.left <= 0:
            return Html("")
        try:
            sound, kind = encoded(self._middle(row))
        except (ValueError, OSError):
            return missing("The file is not there any more.")
        self.left -= len(sound)
        return Html(
            '<audio controls preload="none" '
            f'src="data:audio/{kind};base64,{sound}"></audio>'
        )

    def _middle(self, row):
        """(T,) samples of at most some seconds."""
        table = self.table
        file = int(table.num_frames[row]), int(table.sample_rates[row])
        total = length_at(*file, RATE)
        length = min(total, round(SECONDS * RATE))
        path = f"{self.folder}/{table.paths[row]}"
        start = (total - length) // 2
        return read_excerpts(path, [start], length, *file, RATE)[0]


def clips_of(prepared, wanted=True):
    """``Clips`` where they are wanted and can be had."""
    if not wanted or prepared is None:
        return NoClips()
    try:
        return Clips(prepared)
    except (KeyError, TypeError, ValueError, OSError):
        return NoClips()


def encoded(samples):
    """(base64 text, kind of audio): Ogg/Opus where libsndfile can, else WAV.

    Example
    -------
    >>> text, kind = encoded(np.zeros(16000, dtype=np.float32))
    >>> kind in ("ogg", "wav") and len(text) < 50000
    True
    """
    file = io.BytesIO()
    peak = np.abs(samples).max()
    samples = samples * (0.5 / peak) if peak > 0 else samples
    if "OPUS" in soundfile.available_subtypes("OGG"):
        kind, options = "ogg", {"format": "OGG", "subtype": "OPUS"}
    else:
        kind, options = "wav", {"format": "WAV", "subtype": "PCM_16"}
    soundfile.write(file, samples, RATE, **options)
    return base64.b64encode(file.getvalue()).decode("ascii"), kind
