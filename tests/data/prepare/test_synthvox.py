"""A tiny synthetic corpus keeps every promise of the large one."""

import filecmp
import itertools

import numpy as np
import pytest
import soundfile

from ssrl_brain.data.prepare import espeak, synthvox

TINY = {
    "num_train_speakers": 3,
    "num_test_speakers": 2,
    "sessions": 2,
    "utterances": 2,
    "seed": 7,
    "num_workers": 1,
}


@pytest.fixture(scope="module", autouse=True)
def few_clips():
    """Two clips instead of thirty in every folder."""
    few = [(name, 2, *rest) for name, _, *rest in synthvox.CLIP_FOLDERS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthvox, "CLIP_FOLDERS", few)
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, few_clips):
    folder = tmp_path_factory.mktemp("synth") / "corpus"
    synthvox.make_corpus(folder, **TINY)
    return folder


@pytest.fixture
def trials(corpus):
    lines = (
        (corpus / "voxceleb" / "synthetic_trials.txt").read_text().splitlines()
    )
    return [line.split(" ") for line in lines]


def files_of(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def session_of(path):
    return path.rsplit("/", 1)[0]


def speaker_of(path):
    return path.split("/")[0]


def voice(sex="m", **traits):
    """An unremarkable voice, but for the given traits."""
    plain = synthvox.draw_voice(np.random.default_rng(0), sex)
    plain |= {"language": "gmw/en-US", "pitch": [100, 130]}
    plain |= {"formants": np.full(9, 100.0), "speed": [100.0]}
    return plain | traits


def speak(traits, seconds=3):
    rng = np.random.default_rng(3)
    with synthvox.open_voice(voice(**traits)) as say:
        return synthvox.draw_speech(rng, say, seconds)


def fundamental(speech):
    """Median over frames of the strongest period between 60 and 400 Hz."""
    frames = np.lib.stride_tricks.sliding_window_view(speech, 800)[::400]
    frames = frames[np.mean(frames**2, axis=1) > 0.5] * np.hanning(800)
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    periods = np.fft.irfft(power)[:, 40:267].argmax(axis=1) + 40
    return np.median(synthvox.SAMPLE_RATE / periods)


def test_layout(corpus):
    names = files_of(corpus)
    wav = [name for name in names if name.startswith("voxceleb/wav/")]
    assert wav == [
        f"voxceleb/wav/id2000{speaker}/s0{session}/0000{utterance}.wav"
        for speaker, session, utterance in itertools.product(
            range(1, 6), (1, 2), (1, 2)
        )
    ]
    banks = {session_of(name) for name in names if "wav/" not in name} - {""}
    assert {folder for folder, *_ in synthvox.CLIP_FOLDERS} < banks
    table = (corpus / "speakers.tsv").read_text().splitlines()
    splits = [row.split("\t")[:2] for row in table[1:]]
    assert splits == [
        [f"id2000{n}", "train" if n < 4 else "test"] for n in range(1, 6)
    ]
    assert "eSpeak NG" in (corpus / "README.txt").read_text()
    assert [path.name for path in corpus.parent.iterdir()] == ["corpus"]


def test_audio_is_sound(corpus):
    for path in corpus.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.subtype == "PCM_16"
        samples, _ = soundfile.read(path)
        assert 0.05 < np.abs(samples).max() < 1
        if "voxceleb" in path.parts:
            assert 3 <= info.duration <= 6
            seconds = samples[: len(samples) // 16000 * 16000]
            power = np.mean(seconds.reshape(-1, 16000) ** 2, axis=1)
            assert power.min() > 1e-5  # no second is silent


def test_same_seed_same_bytes_with_any_number_of_processes(corpus, tmp_path):
    synthvox.make_corpus(tmp_path / "again", **TINY | {"num_workers": 2})
    names = files_of(corpus)
    assert files_of(tmp_path / "again") == names
    compared = filecmp.cmpfiles(corpus, tmp_path / "again", names, False)
    assert compared == (names, [], [])


def test_voice_does_not_depend_on_who_spoke_before():
    alone = speak({})
    speak({"language": "zlw/pl", "flutter": [9.0]})
    np.testing.assert_array_equal(speak({}), alone)


def test_trials_of_the_corpus(trials):
    labels = [label for label, _, _ in trials]
    assert labels.count("1") == labels.count("0") == 8  # 2 voices, 2 x 2 files
    for label, enrol, test in trials:
        assert {speaker_of(enrol), speaker_of(test)} <= {"id20004", "id20005"}
        assert (speaker_of(enrol) == speaker_of(test)) == (label == "1")
        assert session_of(enrol) != session_of(test)


def test_second_call_does_nothing(corpus, capsys):
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    synthvox.make_corpus(corpus, **TINY)
    assert "nothing to do" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    assert after == before


def test_other_options_are_refused(corpus):
    with pytest.raises(FileExistsError, match="corpus exists"):
        synthvox.make_corpus(corpus, **TINY | {"seed": 8})


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="name another folder"):
        synthvox.make_corpus(tmp_path, **TINY)
    assert files_of(tmp_path) == ["thesis.txt"]


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(espeak, "ACCENTS", ["gmw/nowhere"])
    with pytest.raises(RuntimeError, match="gmw/nowhere"):
        synthvox.make_corpus(tmp_path / "corpus", **TINY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "key, value",
    [
        ("num_train_speakers", 0),
        ("num_test_speakers", 1),
        ("sessions", 1),
        ("utterances", 0),
    ],
)
def test_too_few_for_trials(tmp_path, key, value):
    with pytest.raises(ValueError, match=key):
        synthvox.make_corpus(tmp_path / "corpus", **TINY | {key: value})


def test_pitch_is_heard():
    low, high = (
        fundamental(speak({"pitch": [pitch, 1.3 * pitch]}))
        for pitch in (90, 180)
    )
    assert 90 < low < 1.3 * 90
    assert high / low == pytest.approx(2, rel=0.1)


def test_formants_are_heard():
    def centroid(percent):
        speech = speak({"formants": np.full(9, percent)})
        power = np.abs(np.fft.rfft(speech)) ** 2
        hertz = np.fft.rfftfreq(len(speech), 1 / synthvox.SAMPLE_RATE)
        return np.sum(power * hertz) / np.sum(power)

    assert centroid(120.0) > 1.05 * centroid(100.0)


def test_drawn_speakers_differ(corpus):
    rows = (corpus / "speakers.tsv").read_text().splitlines()[1:]
    drawn = [row.split("\t")[3:] for row in rows]
    assert all(one != two for one, two in itertools.combinations(drawn, 2))


def test_sentences_are_new():
    rng = np.random.default_rng(0)
    sentences = [espeak.draw_sentence(rng) for _ in range(100)]
    assert len(set(sentences)) == 100


def test_faces_come_with_the_voices_to_train_on(corpus, tmp_path):
    folder = tmp_path / "faces"
    synthvox.make_corpus(folder, **TINY, faces=True)
    # speech is what it is without them
    waves = sorted((corpus / "voxceleb/wav").rglob("*.wav"))
    for path in waves:
        same = folder / path.relative_to(corpus)
        assert same.read_bytes() == path.read_bytes()
    assert (folder / "README.txt").read_text().count("nobody was photographed")
    assert not (corpus / "voxceleb_frames").exists()
    frames = folder / "voxceleb_frames"
    speakers = sorted(path.name for path in (corpus / "voxceleb/wav").iterdir())
    train = speakers[: TINY["num_train_speakers"]]
    assert sorted(path.name for path in frames.iterdir()) == train
    for place in frames.glob("*/*/*"):
        wave = folder / "voxceleb/wav" / place.relative_to(frames)
        seconds = soundfile.info(f"{wave}.wav").duration
        assert len(list(place.glob("*.jpg"))) == int(seconds)
