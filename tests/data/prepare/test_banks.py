"""Banks from MUSAN and RIRS_NOISES, in small."""

import numpy as np
import pytest
import soundfile

from ssrl_brain.data.bank import AudioBank
from ssrl_brain.data.prepare import auto
from ssrl_brain.data.prepare.banks import (
    choose_rirs,
    list_bank,
    noise_kind,
    write_banks,
)

RATE = 4000
SOUND = 0.1 * np.sin(np.arange(2 * RATE) / 3)


def write(path, samples=SOUND):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


@pytest.mark.parametrize(
    "path, kind",
    [
        ("noise/free-sound/1.wav", "ambient"),
        ("musan/music/rfm/1.wav", "music"),
        ("speech/us-gov/1.wav", "speech"),
        ("speech.wav", "ambient"),  # a name is no folder
        ("office/printer.wav", "ambient"),
    ],
)
def test_kind_of_a_clip(path, kind):
    assert noise_kind(path) == kind


def test_large_rooms_are_never_used():
    assert choose_rirs(["largeroom/1.wav"]) == []
    assert choose_rirs(["largeroom/1.wav", "office/1.wav"]) == ["office/1.wav"]


def test_banks_of_musan_and_rirs_noises(tmp_path):
    musan, rirs = tmp_path / "musan", tmp_path / "RIRS_NOISES"
    write(musan / "noise/free-sound/noise-free-sound-0000.wav")
    write(musan / "music/rfm/music-rfm-0000.wav")
    write(musan / "speech/librivox/speech-librivox-0000.wav")
    write(musan / "speech/librivox/bad.wav", SOUND[:0])
    for room in ("smallroom", "mediumroom", "largeroom"):
        write(rirs / "simulated_rirs" / room / "Room001/Room001-00001.wav")
    write(rirs / "pointsource_noises/noise.wav")
    write(tmp_path / "data/one.wav")
    auto.prepare(
        tmp_path / "data",
        tmp_path / "out",
        noise_folder=musan,
        rir_folder=rirs,
    )
    noise = AudioBank(tmp_path / "out" / "noise")
    assert noise.sample_rate == 16000 and noise.num_clips == 3
    assert len(noise.clip(0)) == 4 * len(SOUND)
    kinds = {kind: noise.indices_of(kind).tolist() for kind in noise.kinds}
    assert kinds == {"ambient": [1], "music": [0], "speech": [2]}
    rooms = AudioBank(tmp_path / "out" / "rirs")
    assert [name.split("/")[1] for name in rooms.names] == [
        "mediumroom",
        "smallroom",
    ]
    assert np.abs(rooms.clip(0)).max() > 0.99


def test_folders_without_sound_for_a_bank(tmp_path):
    for key in ("noise_folder", "rir_folder"):
        with pytest.raises(ValueError, match=f"{key} .* holds no audio"):
            list_bank(tmp_path, key)


def test_without_folders_there_are_no_banks(tmp_path):
    assert list_bank("", "noise_folder") is None
    assert list_bank(None, "rir_folder", choose_rirs) is None
    write_banks(tmp_path, ("", None), (None, None), 16000, 1)
    assert list(tmp_path.iterdir()) == []
