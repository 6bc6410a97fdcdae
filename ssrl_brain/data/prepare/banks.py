"""Banks of noise and room responses from MUSAN, RIRS_NOISES or any folder."""

import os

from ssrl_brain.data import bank
from ssrl_brain.data.audio_files import list_audio

KIND_OF_FOLDER = {"noise": "ambient", "music": "music", "speech": "speech"}
USED_ROOMS = {"smallroom", "mediumroom"}  # SSRL IV-B: no large rooms


def list_bank(source, key, choose=list):
    """Audio of a folder of noise or room responses; None if none is given."""
    if not source:
        return None
    listing = list_audio(source, key, with_tars=False)
    chosen = choose(listing.files)
    if not chosen:
        raise ValueError(f"{key} {source} holds no audio that can be used")
    return listing._replace(
        files={path: listing.files[path] for path in chosen}
    )


def noise_kind(path):
    """Kind of a clip by its folder in MUSAN; elsewhere all is ambient.

    Example
    -------
    >>> noise_kind("musan/noise/free-sound/1.wav"), noise_kind("bus.wav")
    ('ambient', 'ambient')
    >>> noise_kind("speech/librivox/1.wav")
    'speech'
    """
    folders = path.split("/")[:-1]
    kinds = [KIND_OF_FOLDER[f] for f in folders if f in KIND_OF_FOLDER]
    return kinds[0] if kinds else "ambient"


def choose_rirs(paths):
    """Small and medium rooms of RIRS_NOISES; of other folders, everything.

    Example
    -------
    >>> choose_rirs(["smallroom/R1/1.wav", "largeroom/R1/1.wav", "x/1.wav"])
    ['smallroom/R1/1.wav']
    >>> choose_rirs(["a.wav", "b.wav"])
    ['a.wav', 'b.wav']
    """
    rooms = [path for path in paths if USED_ROOMS & set(path.split("/"))]
    return rooms or [p for p in paths if "largeroom" not in p.split("/")]


def write_banks(target, noise, rirs, sample_rate, num_workers):
    """Writes the banks of the folders that were given.

    Arguments
    ---------
    target : pathlib.Path
        The prepared folder.
    noise, rirs : tuple
        Folder and its Listing (None if not given).
    sample_rate, num_workers
        See ``prepare``.
    """
    common = {"sample_rate": sample_rate, "num_workers": num_workers}
    for name, (source, listing), kind_of, mix in [
        ("noise", noise, noise_kind, bank.average_channels),
        ("rirs", rirs, lambda path: "rir", bank.impulse_response),
    ]:
        if listing is None:
            continue
        bank.write_bank(
            target / name,
            [os.path.join(source, path) for path in listing.files],
            [kind_of(path) for path in listing.files],
            description=f"Decoding {name}",
            root=source,
            mix=mix,
            **common,
        )
