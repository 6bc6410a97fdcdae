"""Noise and reverberation, drawn for every crop by itself.

The toolkit draws one room and one probability for a whole batch, which hands
a self-supervised model a shortcut: crops that share a room were made
together. Here each crop has its own noise excerpt, signal-to-noise ratio and
room. They are drawn in the data loader, where they cost little, and applied
to the whole batch at once on the training device.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch
from speechbrain.utils.logger import get_logger

from ssrl_brain.data.bank import AudioBank

logger = get_logger(__name__)


# What a kind of noise adds: (clips of the bank, fewest, most).
NOISE_KINDS = {
    "ambient": [("ambient", 1, 1)],
    "music": [("music", 1, 1)],
    "television": [("music", 1, 1), ("speech", 1, 1)],
    "babble": [("speech", 3, 8)],
}


class NoiseReverb:
    """Draws noise and reverberation for one crop.

    Arguments
    ---------
    noise_folder, rir_folder : str
        Audio banks; a missing one is left out with a warning.
    prob : float
        Share of crops that are augmented.
    choices : list of str
        What an augmented crop gets, equally likely: "noise", "reverb",
        "both".
    snr : list of float
        Lowest and highest signal-to-noise ratio in dB.
    rir_seconds : float
        Rooms are cut to this length.
    sample_rate : int
    noise_kinds : list of str
        What "noise" can be, equally likely as far as the bank has what it
        needs: "ambient", "music", "television" (one music and one speech
        clip) and "babble" (three to eight speech clips).

    Returns
    -------
    tuple
        noise (T,), snr (), rir (R,) when called with a length in samples and
        a generator; zeros stand for nothing.
    """

    def __init__(
        self,
        noise_folder,
        rir_folder,
        prob=0.8,
        choices=("noise", "reverb", "both"),
        snr=(0.0, 20.0),
        rir_seconds=0.8,
        sample_rate=16000,
        noise_kinds=tuple(NOISE_KINDS),
    ):
        unknown = set(choices) - {"noise", "reverb", "both"}
        if unknown or not 0 <= prob <= 1:
            raise ValueError(
                "augmentation: prob must lie in [0, 1] and choices among "
                f"noise, reverb, both; got {prob} and {list(choices)}"
            )
        if set(noise_kinds) - set(NOISE_KINDS) or not noise_kinds:
            raise ValueError(
                f"noise_kinds must be among {', '.join(NOISE_KINDS)}, got "
                f"{list(noise_kinds)}"
            )
        self.kinds = tuple(noise_kinds)
        self.noise_folder = noise_folder
        self.rir_folder = rir_folder
        self.prob = prob
        self.requested = tuple(choices)
        self.snr = tuple(snr)
        self.rir_length = round(rir_seconds * sample_rate)

    @functools.cached_property
    def noises(self):
        """Bank of noise, opened when first needed; None if there is none."""
        return open_bank(self.noise_folder)

    @functools.cached_property
    def rirs(self):
        """Bank of room impulse responses."""
        return open_bank(self.rir_folder)

    def open(self):
        """Opens the banks and tells what they lack: once, before any worker."""
        return self.choices

    @functools.cached_property
    def choices(self):
        """What can be drawn from the banks that there are."""
        silent = self.noises is None or not self.noise_kinds
        possible = [
            choice
            for choice in self.requested
            if not (choice in ("noise", "both") and silent)
            and not (choice in ("reverb", "both") and self.rirs is None)
        ]
        if len(possible) < len(self.requested):
            logger.warning(
                "Augmentation is limited to %s: give --noise_folder (MUSAN) "
                "and --rir_folder (RIRS_NOISES); without them a model learns "
                "rooms and microphones instead of speakers.",
                possible or "nothing",
            )
        return possible

    @functools.cached_property
    def noise_kinds(self):
        """Each kind that can be had, with the clips that it adds."""
        kinds = [
            [(self.noises.indices_of(name), *most) for name, *most in parts]
            for parts in (NOISE_KINDS[kind] for kind in self.kinds)
        ]
        return [k for k in kinds if all(len(clips) for clips, _, _ in k)]

    def __call__(self, length, generator):
        noise = np.zeros(length, dtype=np.float32)
        rir = np.zeros(self.rir_length, dtype=np.float32)
        snr = np.float32(generator.uniform(*self.snr))
        if generator.random() >= self.prob or not self.choices:
            return noise, snr, rir
        choice = self.choices[generator.integers(len(self.choices))]
        if choice in ("noise", "both"):
            noise = self.draw_noise(length, generator)
        if choice in ("reverb", "both"):
            rir = self.draw_rir(generator)
        return noise, snr, rir

    def draw_noise(self, length, generator):
        """(T,) sum of clips of one kind, each at a random place."""
        noise = np.zeros(length, dtype=np.float32)
        kind = self.noise_kinds[generator.integers(len(self.noise_kinds))]
        for clips, fewest, most in kind:
            for _ in range(generator.integers(fewest, most + 1)):
                clip = clips[generator.integers(len(clips))]
                start = int(generator.integers(self.noises.length(clip)))
                noise += self.noises.excerpt(clip, start, length)
        return noise

    def draw_rir(self, generator):
        """(R,) room that begins with its direct path, of unit energy."""
        rir = self.rirs.clip(generator.integers(self.rirs.num_clips))
        rir = rir[np.abs(rir).argmax() :][: self.rir_length]
        rir = np.pad(rir, (0, self.rir_length - len(rir)))
        return rir / max(np.linalg.norm(rir), 1e-8)


def open_bank(folder):
    """The bank in a folder, or None when the preparation made none."""
    try:
        return AudioBank(folder)
    except FileNotFoundError:
        return None


class Rows(NamedTuple):
    """What some rows of a batch have and the others do not.

    ``index`` (M,) are those rows, ``values`` (M, ...) what they have. Which
    they are is known where they are drawn: a GPU need not be asked, and
    nothing else is copied to it.
    """

    index: torch.Tensor
    values: torch.Tensor


def rows_of(arrays):
    """``Rows`` of those of N arrays of one shape that are not all zero.

    Example
    -------
    >>> rows_of([np.zeros(2), np.array([0.0, 3.0])])
    Rows(index=tensor([1]), values=tensor([[0., 3.]], dtype=torch.float64))
    """
    index = [i for i, x in enumerate(arrays) if x[0] != 0 or x.any()]
    values = np.stack([arrays[i] for i in index] or [arrays[0]])
    return Rows(
        torch.tensor(index, dtype=torch.long),
        torch.from_numpy(values[: len(index)]),
    )


def apply_plan(wave, noise, snr, rir):
    """Reverberates, then adds noise, then restores each row's level.

    Arguments
    ---------
    wave : torch.Tensor
        (N, T)
    noise : Rows
        Of length T.
    snr : torch.Tensor
        (N,) in dB, of the reverberated speech against the noise.
    rir : Rows
        Room impulse responses.

    Returns
    -------
    torch.Tensor
        (N, T)

    Example
    -------
    >>> wave, noise = torch.tensor([[1.0, -1.0]]), [np.float32([2, 2])]
    >>> dry = rows_of([np.zeros(3)])
    >>> apply_plan(wave, rows_of(noise), torch.zeros(1), dry)
    tensor([[1.4142, 0.0000]])
    """
    level = _rms(wave)
    if len(rir.index):
        wet = convolve(wave[rir.index], rir.values)
        wave = wave.index_copy(0, rir.index, wet)
    noise = torch.zeros_like(wave).index_copy(0, *noise)
    gain = _rms(wave) / _rms(noise) * 10 ** (-snr[:, None] / 20)
    mixed = wave + gain * noise
    return mixed * (level / _rms(mixed))


def convolve(wave, rir):
    """Causal convolution of each row with its own room, cut to length T.

    Example
    -------
    >>> convolve(torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([[1.0, 0.5]]))
    tensor([[1.0000, 2.5000, 1.0000]])
    """
    length = wave.shape[1]
    size = scipy.fft.next_fast_len(length + rir.shape[1] - 1, real=True)
    product = torch.fft.rfft(wave, size) * torch.fft.rfft(rir, size)
    return torch.fft.irfft(product, size)[:, :length]


def _rms(wave):
    """(N, 1) root mean square, never zero."""
    return wave.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-8)


def augmented(view):
    """Crops of a ``ViewBatch`` as one (n * B, T) tensor, view by view.

    Arguments
    ---------
    view : ViewBatch

    Returns
    -------
    torch.Tensor
        Rows [v * B + b] hold view v of utterance b.
    """
    wave = view.wave.transpose(0, 1).flatten(0, 1)
    if view.noise is None:
        return wave
    return apply_plan(wave, view.noise, view.snr.T.flatten(), view.rir)
