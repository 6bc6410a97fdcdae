"""Noise and rooms: what is drawn, and what it does to a waveform."""

import logging

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssrl_brain.data.augment import (
    NoiseReverb,
    apply_plan,
    augmented,
    convolve,
    rows_of,
)
from ssrl_brain.data.bank import write_bank
from ssrl_brain.data.batches import ViewBatch

RATE = 1000
LEVEL = {"ambient": 0.1, "music": 0.2, "speech": 0.3}  # of constant clips


# ------------------------------- application -------------------------------


def rows(values):
    """Of a tensor (N, ...), those that are not zero."""
    return rows_of(values.numpy())


NO_ROOM = rows(torch.zeros(1, 7))


def orthogonal(num=4, length=1000):
    """Speech and noise without any correlation, so that they can be told
    apart in a mixture."""
    time = torch.arange(length) / length * 2 * torch.pi
    rows = torch.arange(1, num + 1)[:, None]
    return (rows * torch.sin(5 * time), torch.cos(9 * time) / rows)


def share(mixed, part):
    """RMS of the component of a mixture along one of its parts."""
    gain = (mixed * part).sum(1) / part.square().sum(1)
    return (gain[:, None] * part).square().mean(1).sqrt()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-10, 30), min_size=4, max_size=4))
def test_the_mixture_has_the_ratio_asked_for_and_the_level_it_had(snr):
    wave, noise = orthogonal()
    mixed = apply_plan(wave, rows(noise), torch.tensor(snr), NO_ROOM)
    found = 20 * torch.log10(share(mixed, wave) / share(mixed, noise))
    torch.testing.assert_close(found, torch.tensor(snr), atol=1e-2, rtol=0)
    torch.testing.assert_close(
        mixed.square().mean(1), wave.square().mean(1), rtol=1e-4, atol=0
    )


def test_the_ratio_counts_reverberated_speech():
    """A room that makes speech three times louder changes no ratio."""
    wave, noise = orthogonal()
    rir = torch.tensor([[3.0, 0.0]]).expand(4, 2)
    mixed = apply_plan(wave, rows(noise), torch.full((4,), 6.0), rows(rir))
    found = 20 * torch.log10(share(mixed, wave) / share(mixed, noise))
    torch.testing.assert_close(found, torch.full((4,), 6.0), atol=1e-2, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 10**6))
def test_convolution_equals_numpys(length, room, seed):
    generator = np.random.default_rng(seed)
    wave, rir = (
        generator.normal(size=(3, length)),
        generator.normal(size=(3, room)),
    )
    found = convolve(torch.tensor(wave), torch.tensor(rir))
    expected = [
        np.convolve(w, r)[:length] for w, r in zip(wave, rir, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_an_impulse_changes_nothing_and_rooms_stay_in_their_row():
    wave = torch.randn(3, 200)
    rir = torch.zeros(3, 50)
    rir[1, 0] = 1
    plan = (rows(torch.zeros(3, 200)), torch.zeros(3))
    mixed = apply_plan(wave, *plan, rows(rir))
    torch.testing.assert_close(mixed, wave, atol=1e-5, rtol=1e-5)
    rir[1, 7] = 0.5
    mixed = apply_plan(wave, *plan, rows(rir))
    torch.testing.assert_close(mixed[::2], wave[::2])
    assert (mixed[1] - wave[1]).abs().max() > 0.1


def test_silence_stays_finite():
    wave, noise = torch.zeros(2, 50), torch.randn(2, 50)
    assert (
        apply_plan(wave, rows(noise), torch.zeros(2), NO_ROOM).isfinite().all()
    )


def test_rows_of_a_batch_keep_their_own_plan():
    """Row v * B + b equals view v of utterance b, augmented alone."""
    torch.manual_seed(0)
    plan = (torch.randn(2, 3, 80), torch.rand(2, 3) * 20, torch.randn(2, 3, 9))
    noise, snr, rir = plan
    noise[0, 1], rir[1, 2], rir[1, 0] = 0, 0, 0  # crop 0 of b = 1, ...
    wave = torch.randn(3, 2, 80)
    view = ViewBatch(
        wave, rows(noise.flatten(0, 1)), snr.T, rows(rir.flatten(0, 1))
    )
    assert view.noise.index.tolist() == [0, 2, 3, 4, 5]
    assert view.rir.index.tolist() == [0, 1, 2, 4]
    found = augmented(view)
    assert found.shape == (6, 80)
    for v in range(2):
        for b in range(3):
            mine = [x[v, b][None] for x in plan]
            alone = apply_plan(
                wave[b, v][None], rows(mine[0]), mine[1], rows(mine[2])
            )
            torch.testing.assert_close(found[v * 3 + b], alone[0])


# --------------------------------- drawing ---------------------------------


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """Constant clips, whose level tells their kind; one room."""
    folder = tmp_path_factory.mktemp("banks")
    for kind, level in LEVEL.items():
        path = folder / f"{kind}.wav"
        soundfile.write(path, np.full(300, level), RATE, subtype="FLOAT")
        write_bank(folder / f"only {kind}", [path], [kind], RATE)
    files = [folder / f"{kind}.wav" for kind in LEVEL]
    write_bank(folder / "noise", files, list(LEVEL), RATE)
    room = np.concatenate([np.zeros(20), [0.5, 0.25, -0.25], np.zeros(200)])
    soundfile.write(folder / "room.wav", room, RATE, subtype="FLOAT")
    write_bank(folder / "rirs", [folder / "room.wav"], ["rir"], RATE)
    return folder


def draw(banks, num=400, noise="noise", rirs="rirs", length=50, **options):
    augment = NoiseReverb(
        banks / noise,
        banks / rirs,
        rir_seconds=0.1,
        sample_rate=RATE,
        **options,
    )
    generator = np.random.default_rng(0)
    return [augment(length, generator) for _ in range(num)]


def kind_of(noise):
    """Clips in a sum of constants, e.g. (1, 0, 0) for one ambient one."""
    level = round(float(noise[0]), 2)
    return {0.1: "ambient", 0.2: "music", 0.5: "television"}.get(
        level, f"babble of {level / 0.3:.0f}"
    )


def test_all_kinds_of_noise_are_drawn_equally_often(banks):
    drawn = draw(banks, 2000, prob=1.0, choices=["noise"])
    kinds = [kind_of(noise) for noise, _, _ in drawn]
    babble = sorted({k for k in kinds if k.startswith("babble")})
    assert babble == [f"babble of {n}" for n in range(3, 9)]
    for kind in ("ambient", "music", "television"):
        assert kinds.count(kind) / 2000 == pytest.approx(0.25, abs=0.04)
    assert not any(rir.any() for _, _, rir in drawn)


def test_a_bank_of_one_kind_offers_what_it_can(banks):
    drawn = draw(banks, 50, noise="only ambient", prob=1.0, choices=["noise"])
    assert {kind_of(noise) for noise, _, _ in drawn} == {"ambient"}
    drawn = draw(banks, 50, noise="only speech", prob=1.0, choices=["noise"])
    assert all(kind_of(noise).startswith("babble") for noise, _, _ in drawn)


def test_shares_of_the_choices(banks):
    drawn = draw(banks, 3000, prob=0.6)
    found = [(bool(noise.any()), bool(rir.any())) for noise, _, rir in drawn]
    assert found.count((False, False)) / 3000 == pytest.approx(0.4, abs=0.03)
    for choice in ((True, False), (False, True), (True, True)):
        assert found.count(choice) / 3000 == pytest.approx(0.2, abs=0.03)


def test_probability_zero_and_shapes(banks):
    for noise, snr, rir in draw(banks, 20, prob=0.0):
        assert not noise.any() and not rir.any()
        assert noise.shape == (50,) and rir.shape == (100,)
        assert noise.dtype == snr.dtype == rir.dtype == np.float32


def test_ratios_are_uniform_between_their_bounds(banks):
    ratios = [snr for _, snr, _ in draw(banks, 2000, snr=(5.0, 20.0))]
    assert 5 <= min(ratios) < 5.5 and 19.5 < max(ratios) <= 20
    assert np.mean(ratios) == pytest.approx(12.5, abs=0.4)


def test_a_room_begins_with_its_direct_path_and_has_unit_energy(banks):
    _, _, rir = draw(banks, 1, prob=1.0, choices=["reverb"])[0]
    expected = np.array([2, 1, -1]) / np.sqrt(6)
    np.testing.assert_allclose(rir[:3], expected, atol=1e-4)
    assert not rir[3:].any()


def test_without_banks_there_is_a_warning_and_clean_speech(banks, caplog):
    logger = "ssrl_brain.data.augment"
    with caplog.at_level(logging.WARNING, logger=logger):
        drawn = draw(banks, 20, noise="none", rirs="none", prob=1.0)
    assert not any(noise.any() or rir.any() for noise, _, rir in drawn)
    assert "give --noise_folder" in caplog.text
    drawn = draw(banks, 200, rirs="none", prob=1.0)  # only "noise" is left
    assert all(noise.any() and not rir.any() for noise, _, rir in drawn)


def test_kinds_of_noise_can_be_left_out(banks):
    kinds = ["ambient", "music", "babble"]
    options = {"prob": 1.0, "choices": ["noise"], "noise_kinds": kinds}
    drawn = {kind_of(noise) for noise, _, _ in draw(banks, 300, **options)}
    assert {"ambient", "music"} < drawn and "television" not in drawn


def test_a_bank_without_the_kinds_wanted_counts_as_none(banks, caplog):
    with caplog.at_level("WARNING"):
        drawn = draw(
            banks, 20, noise="only speech", prob=1.0, noise_kinds=["music"]
        )
    assert not any(noise.any() for noise, _, _ in drawn)
    assert "limited to ['reverb']" in caplog.text


def test_an_unknown_kind_of_noise_is_refused():
    with pytest.raises(ValueError, match="noise_kinds must be among ambient"):
        NoiseReverb("noise", "rirs", noise_kinds=["traffic"])


@pytest.mark.parametrize("options", [{"prob": 1.2}, {"choices": ["echo"]}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match="prob must lie in .0, 1. and choices"):
        NoiseReverb("noise", "rirs", **options)
