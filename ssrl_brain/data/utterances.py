"""Table of utterances in a few arrays instead of a million dictionaries.

A row of the toolkit's ``DynamicItemDataset`` takes about 600 bytes in every
worker; here a corpus of 1.1 million utterances takes some dozens of
megabytes, and forked workers share them.
"""

import hashlib
from array import array
from pathlib import Path

import numpy as np

from ssrl_brain.data.audio_files import printable
from ssrl_brain.data.tree import leads_out
from ssrl_brain.system.files import read_table

COLUMNS = ["ID", "wav", "duration", "num_frames", "sample_rate", "session"]
MAX_RATE = 10**6  # Hz


class Strings:
    """List of strings in one byte array, which can only grow.

    Arguments
    ---------
    strings : iterable of str

    Example
    -------
    >>> names = Strings(["a", "", "bcd"])
    >>> len(names), names[2], list(names)
    (3, 'bcd', ['a', '', 'bcd'])
    """

    def __init__(self, strings=()):
        self._bytes = bytearray()
        self._ends = array("q", [0])
        for string in strings:
            self.append(string)

    def append(self, string):
        """Adds a string; not while an array of ``bytes`` is in use."""
        self._bytes += string.encode()
        self._ends.append(len(self._bytes))

    @property
    def bytes(self):
        """(number of bytes,) of all strings, in UTF-8."""
        return np.frombuffer(self._bytes, dtype=np.uint8)

    @property
    def offsets(self):
        """(N + 1,) where each string begins, and the last one ends."""
        return np.frombuffer(self._ends, dtype=np.int64)

    def __len__(self):
        return len(self._ends) - 1

    def __eq__(self, other):
        return self._ends == other._ends and self._bytes == other._bytes

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._bytes[self._ends[index] : self._ends[index + 1]].decode()


def as_strings(strings):
    """``Strings`` as they are, others packed."""
    return strings if isinstance(strings, Strings) else Strings(strings)


class Utterances:
    """What is known of each utterance before it is read; never its speaker.

    Arguments
    ---------
    ids : iterable of str
    paths : iterable of str
        Relative to the data folder.
    num_frames : array_like
        (N,) lengths in frames of each file's own sampling rate.
    sample_rates : array_like
        (N,) in Hz.
    sessions : array_like
        (N,) integer number of the recording an utterance belongs to.

    Example
    -------
    >>> table = Utterances(
    ...     ["a", "b"], ["a.wav", "b.wav"], [8, 16], [8, 8], [0, 0]
    ... )
    >>> len(table), table.ids[1], table.durations.tolist()
    (2, 'b', [1.0, 2.0])
    """

    def __init__(self, ids, paths, num_frames, sample_rates, sessions):
        self.ids = as_strings(ids)
        self.paths = as_strings(paths)
        self.num_frames = np.asarray(num_frames, dtype=np.int64)
        self.sample_rates = np.asarray(sample_rates, dtype=np.int64)
        self.sessions = np.asarray(sessions, dtype=np.int64)

    @classmethod
    def from_csv(cls, path):
        """Reads ``train.csv`` or ``test.csv`` of a prepared folder.

        Arguments
        ---------
        path : str
            A table with the columns of ``COLUMNS``.

        Returns
        -------
        Utterances

        Raises
        ------
        FileNotFoundError, ValueError
            If the table is missing, empty or not such a table.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"{path} does not exist: prepare the data first "
                "(any stage does it when --data_folder is given)"
            )
        header, rows = read_table(path)
        if header != COLUMNS:
            raise ValueError(
                f"{path}: expected the columns {','.join(COLUMNS)}, "
                f"found {printable(','.join(header)[:80]) or 'nothing'}: "
                "prepare again"
            )
        ids, paths = Strings(), Strings()
        columns = array("q"), array("q"), array("q")
        for id, wav, _, *numbers in rows:
            if leads_out(wav):
                raise ValueError(
                    f"{path} names {wav[:80]!r}, which is not inside the data "
                    "folder: prepare again"
                )
            ids.append(id)
            paths.append(wav)
            try:
                for column, number in zip(columns, numbers, strict=True):
                    column.append(int(number))
            except (ValueError, OverflowError) as error:
                raise ValueError(f"{path}: {error}: prepare again") from None
        if not len(ids):
            raise ValueError(f"{path} has no utterance: check --data_folder")
        frames, rates, sessions = (
            np.frombuffer(column, dtype=np.int64) for column in columns
        )
        if frames.min() < 1 or not 1 <= rates.min() <= rates.max() <= MAX_RATE:
            raise ValueError(
                f"{path} has an utterance without length or sampling rate: "
                "prepare again"
            )
        return cls(ids, paths, frames, rates, sessions)

    def __len__(self):
        return len(self.num_frames)

    @property
    def durations(self):
        """(N,) durations in seconds."""
        return self.num_frames / self.sample_rates

    def subset(self, rows):
        """A table of some rows, in their order; its fingerprint is its own.

        Arguments
        ---------
        rows : array_like
            (M,) integers.

        Returns
        -------
        Utterances
        """
        rows = np.asarray(rows, dtype=np.int64)
        return Utterances(
            (self.ids[row] for row in rows),
            (self.paths[row] for row in rows),
            self.num_frames[rows],
            self.sample_rates[rows],
            self.sessions[rows],
        )

    def fingerprint(self):
        """Changes with an utterance added, removed, moved or of new length."""
        digest = hashlib.sha256(self.ids.offsets.tobytes())
        digest.update(self.ids.bytes.tobytes())
        digest.update(self.num_frames.tobytes())
        return digest.hexdigest()
