"""Crops: what they are, and that only their own key decides about them."""

import itertools

import numpy as np
import pytest
import soundfile
import torch

from ssrl_brain.data import views as views_module
from ssrl_brain.data.augment import NoiseReverb, augmented
from ssrl_brain.data.bank import write_bank
from ssrl_brain.data.batches import CropBatch, ViewBatch, collate
from ssrl_brain.data.perturb import Sometimes
from ssrl_brain.data.sampler import EpochBatchSampler, Key
from ssrl_brain.data.transfer import move, tensors
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.data.views import CropDataset, View

RATE = 1000


# --------------------------------- lengths ---------------------------------


def test_a_length_is_drawn_once_for_a_batch():
    view = View(1, [2.0, 4.0])
    lengths = [view.draw_length(100, 0, 1, batch) for batch in range(300)]
    assert lengths == [view.draw_length(100, 0, 1, b) for b in range(300)]
    assert min(lengths) < 220 and max(lengths) > 380
    assert all(200 <= length <= 400 for length in lengths)
    assert view.draw_length(100, 0, 2, 0) != view.draw_length(100, 0, 1, 0)


@pytest.mark.parametrize("num, seconds", [(0, 1), (1, 0), (1, [3, 2])])
def test_impossible_views_are_refused(num, seconds):
    with pytest.raises(ValueError, match="at least one crop of positive len"):
        View(num, seconds)


def test_a_tempo_of_zero_is_refused():
    with pytest.raises(ValueError, match="tempo_rates must be positive"):
        View(1, 2.0, tempo=Sometimes(0.5, [0, 1.1], otherwise=1))


# --------------------------------- data set --------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Seven files of noise, 0.5 to 3.5 s; sample t of file i is i + t/10^4.

    Returns the folder and the table.
    """
    folder = tmp_path_factory.mktemp("corpus")
    frames = [500 * (i + 1) for i in range(7)]
    for i, num in enumerate(frames):
        wave = (1000 * i + np.arange(num) / 10) / 10000
        soundfile.write(folder / f"{i}.wav", wave, RATE, subtype="FLOAT")
    names = [f"{i}.wav" for i in range(7)]
    zeros = np.zeros(7)
    return folder, Utterances(names, names, frames, zeros + RATE, zeros)


@pytest.fixture(scope="module")
def augment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("banks")
    generator = np.random.default_rng(0)
    files = []
    for i in range(3):
        files.append(folder / f"{i}.wav")
        soundfile.write(files[-1], generator.uniform(-0.5, 0.5, 700), RATE)
    write_bank(folder / "noise", files, ["ambient", "music", "speech"], RATE)
    write_bank(folder / "rirs", files, ["rir"] * 3, RATE)
    return NoiseReverb(
        folder / "noise",
        folder / "rirs",
        0.7,
        rir_seconds=0.1,
        sample_rate=RATE,
    )


def make(corpus, augment=None, seed=3, tempo=None, **options):
    folder, table = corpus
    views = [
        View(2, 0.4, augment, spread=True, tempo=tempo),
        View(3, [0.2, 0.3], augment, spread=False, tempo=tempo),
    ]
    return CropDataset(table, folder, views, seed, RATE, **options)


def perturbations(prob):
    """Options of ``make``."""
    return {
        "pitch": Sometimes(prob, [-200, 200], otherwise=0),
        "tempo": Sometimes(prob, [0.9, 1.1], otherwise=1),
    }


def origin(crop):
    """File and first sample of a crop of the corpus without augmentation."""
    value = round(float(crop[0]) * 100000)
    return value // 10000, value % 10000


def test_crops_are_excerpts_of_their_utterance(corpus):
    data = make(corpus)
    index, views = data[Key(5, 1, 0)]
    assert index == 5 and len(views) == 2
    (long,), (short,) = views
    assert long.shape == (2, 400) and short.shape[0] == 3
    assert 200 <= short.shape[1] <= 300
    for crop in (*long, *short):
        file, start = origin(crop)
        assert file == 5 and 0 <= start <= 3000 - len(crop)
        expected = crop[0] + np.arange(len(crop)) / 100000
        np.testing.assert_allclose(crop, expected, atol=1e-6)


def test_long_and_short_views_avoid_each_other(corpus):
    """3,500 samples: 2 x 800 and 4 x 450 fit, and freely they collide."""
    folder, table = corpus

    def overlaps(spread):
        views = [View(2, 0.8, spread=spread), View(4, 0.45, spread=spread)]
        data = CropDataset(table, folder, views, 0, RATE)
        found = []
        for epoch in range(20):
            _, crops = data[Key(6, epoch, 0)]
            placed = sorted(
                (round((float(wave[0]) - 0.6) * 1e5), len(wave))
                for waves, *_ in crops
                for wave in waves
            )
            found += [
                start + size > after
                for (start, size), (after, _) in itertools.pairwise(placed)
            ]
        return np.mean(found)

    assert overlaps(True) == 0 and overlaps(False) > 0.3


def test_sources_take_the_crops_from_other_utterances(corpus):
    def sources(index, num, generator):
        assert isinstance(generator, np.random.Generator)
        return np.array([6, 2, 6])[:num]

    index, views = make(corpus, sources=sources)[Key(5, 1, 0)]
    assert index == 5  # the row that losses and labels belong to
    files = [[origin(crop)[0] for crop in wave] for (wave,) in views]
    assert files == [[6, 2], [6, 2, 6]]


def test_what_changes_a_crop(corpus):
    """Epoch and seed do, the batch does not (its length apart)."""

    def long(seed, *key):
        return make(corpus, seed=seed)[Key(*key)][1][0][0]

    first = long(0, 6, 1, 0)
    np.testing.assert_array_equal(long(0, 6, 1, 9), first)
    assert not np.array_equal(long(0, 6, 2, 0), first)
    assert not np.array_equal(long(1, 6, 1, 0), first)


def load(data, num_workers, batch_size=3):
    sampler = EpochBatchSampler(len(data), batch_size, seed=0)
    sampler.set_epoch(2)
    loader = torch.utils.data.DataLoader(
        data, batch_sampler=sampler, collate_fn=collate, num_workers=num_workers
    )
    return list(loader)


@pytest.mark.parametrize("prob", [0.0, 0.5])
def test_batches_are_the_same_with_any_number_of_workers(corpus, augment, prob):
    data = make(corpus, augment, **perturbations(prob))
    for one, two in zip(load(data, 0), load(data, 2), strict=True):
        assert torch.equal(one.index, two.index)
        for x, y in zip(tensors(one.views), tensors(two.views), strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize("prob", [0.0, 0.5])
def test_crops_do_not_depend_on_their_company(corpus, augment, prob):
    """Not even augmented ones; 2 and 4 utterances in a batch."""
    data = make(corpus, augment, **perturbations(prob))

    def rows(batch_size):
        found = {}
        for batch in load(data, 0, batch_size):
            view = batch.views[0]
            size, num, _ = view.wave.shape
            dense = [
                torch.zeros(num * size, x.values.shape[1]).index_copy(0, *x)
                for x in (view.noise, view.rir)
            ]
            for b, index in enumerate(batch.index.tolist()):
                found[index] = [view.wave[b], view.snr[b]]
                found[index] += [x[b::size] for x in dense]
        return found

    small, large = rows(2), rows(4)
    assert sorted(small) == sorted(large) == list(range(7))
    assert any(fields[2].any() for fields in small.values())
    for index, fields in small.items():
        for x, y in zip(fields, large[index], strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize("index", range(7))
def test_probability_zero_changes_no_crop(corpus, augment, index):
    _, plain = make(corpus, augment)[Key(index, 1, 0)]
    _, off = make(corpus, augment, **perturbations(0.0))[Key(index, 1, 0)]
    for view, other in zip(plain, off, strict=True):
        for x, y in zip(view, other, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.fixture
def perturbed(monkeypatch):
    """Calls of ``perturb`` as (what was read, length, cents)."""
    calls = []

    def recording(wave, length, cents, sample_rate):
        calls.append((wave, length, cents))
        return np.zeros(length)

    monkeypatch.setattr(views_module, "perturb", recording)
    return calls


def test_all_crops_of_an_utterance_share_their_pitch(corpus, perturbed):
    """With sources, too: the draw is the one of the utterance asked for."""

    def sources(index, num, generator):
        return generator.integers(7, size=num)

    pitch = perturbations(0.5)["pitch"]
    data = make(corpus, pitch=pitch, sources=sources)
    drawn = []
    for epoch in range(60):
        for index in range(7):
            perturbed.clear()
            data[Key(index, epoch, 0)]
            assert len(perturbed) == 5
            (cents,) = {cents for _, _, cents in perturbed}
            drawn.append(cents)
    assert drawn.count(0) / 420 == pytest.approx(0.5, abs=0.08)
    assert drawn.count(200) / 420 == pytest.approx(0.25, abs=0.07)
    assert drawn.count(-200) / 420 == pytest.approx(0.25, abs=0.07)


def test_each_crop_has_its_own_tempo_and_the_same_length(corpus, perturbed):
    data = make(corpus, tempo=Sometimes(0.5, [0.9, 1.1], otherwise=1))
    sizes = []
    for epoch in range(100):
        perturbed.clear()
        _, views = data[Key(6, epoch, 0)]
        assert views[0][0].shape == (2, 400)
        long = [(origin(wave)[1], len(wave)) for wave, _, _ in perturbed[:2]]
        (first, size), (second, last) = sorted(long)
        assert first + size <= second  # still side by side
        assert second + last <= 3500
        sizes += [size for _, size in long]
        short = perturbed[2][1]
        assert all(
            len(wave) in (round(0.9 * short), short, round(1.1 * short))
            for wave, _, _ in perturbed[2:]
        )
    assert set(sizes) == {360, 400, 440}
    assert sizes.count(400) / 200 == pytest.approx(0.5, abs=0.1)


def test_tempo_takes_in_more_or_less_of_the_utterance(corpus):
    """The ramp tells how much: 10^-5 a sample."""
    for rate in (0.9, 1.1):
        data = make(corpus, tempo=Sometimes(1.0, [rate], otherwise=1))
        for crop in data[Key(6, 1, 0)][1][0][0]:
            assert (crop[-1] - crop[0]) * 1e5 == pytest.approx(
                400 * rate, abs=20
            )


def test_only_a_crop_that_does_not_fit_repeats_the_utterance(corpus, perturbed):
    """Of 500 samples: 432 fit, 528 do not."""
    folder, table = corpus
    view = View(4, 0.48, tempo=Sometimes(1.0, [0.9, 1.1], otherwise=1))
    data = CropDataset(table, folder, [view], 0, RATE)
    for epoch in range(5):
        data[Key(0, epoch, 0)]
    assert {len(wave) for wave, _, _ in perturbed} == {432, 528}
    for wave, _, _ in perturbed:
        assert (np.diff(wave) < 0).any() == (len(wave) == 528)


def test_crops_of_one_utterance_are_augmented_by_themselves(corpus, augment):
    batch = collate([make(corpus, augment)[Key(i, 1, 0)] for i in range(7)])
    view = batch.views[0]
    assert view.wave.shape == (7, 2, 400)
    for found, length in ((view.noise, 400), (view.rir, 100)):
        assert found.values.shape == (len(found.index), length)
        assert found.values.any(1).all()
    assert set(view.noise.index.tolist()) <= set(range(14))
    assert view.snr.shape == (7, 2)
    assert (view.snr[:, 0] != view.snr[:, 1]).all()
    assert len(view.noise.values.unique(dim=0)) == len(view.noise.index) > 2


def test_a_batch_without_augmentation_has_waveforms_only(corpus):
    data = make(corpus)
    batch = collate([data[Key(i, 1, 0)] for i in (4, 1)])
    assert batch.index.tolist() == [4, 1]
    assert batch.views[0].wave.shape == (2, 2, 400)
    assert batch.views[0][1:] == (None, None, None)
    rows = augmented(batch.views[0])  # view by view
    assert [origin(row)[0] for row in rows] == [4, 1, 4, 1]
    assert torch.equal(rows[2], batch.views[0].wave[0, 1])


def test_move_keeps_the_structure():
    batch = CropBatch(torch.ones(2), (ViewBatch(torch.ones(2, 1, 3)),))
    moved = move(batch, "meta")
    assert isinstance(moved, CropBatch) and isinstance(moved.views, tuple)
    assert isinstance(moved.views[0], ViewBatch)
    assert moved.index.is_meta and moved.views[0].wave.is_meta
    assert moved.views[0].noise is None


def test_labelled_rows_are_a_set_of_their_own(corpus):
    whole = make(corpus)
    keep = np.array([0, 1, 0, 1, 1, 0, 1], dtype=bool)
    labels = np.arange(10, 17)
    kept = whole.labelled(labels, keep)
    assert len(kept) == 4 and len(whole) == 7 and whole.labels is None
    assert kept.labels.tolist() == [11, 13, 14, 16]
    index, views = kept[Key(1, epoch=1, batch=0)]
    assert index == 1
    assert {origin(crop)[0] for crop in views[0][0]} == {3}
    found = {
        whole.fingerprint(),
        kept.fingerprint(),
        whole.labelled(labels, ~keep).fingerprint(),
        whole.labelled(labels + 1, keep).fingerprint(),
        whole.labelled(labels, keep | True).fingerprint(),
    }
    assert len(found) == 5
    assert (
        kept.fingerprint() == make(corpus).labelled(labels, keep).fingerprint()
    )
