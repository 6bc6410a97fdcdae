"""The paragraph at the top of a report, and what there is to hear and see."""

import base64
import io

import numpy as np
import pytest
import soundfile
from conftest import voice
from report_folders import add_labels, add_scores, history_of, make_run

from ssrl_brain.report import numbers
from ssrl_brain.report.listen import Clips, NoClips, clips_of
from ssrl_brain.report.runs import read_chain
from ssrl_brain.report.verdict import errors, verdict
from ssrl_brain.report.write import write_report
from ssrl_brain.system.files import write_json, write_text

RATE = 16000


@pytest.fixture
def audio(tmp_path):
    """A chain of one run whose utterances can be heard."""
    run = make_run(tmp_path / "out" / "ssrl", history_of("ssrl", 3))
    ids = [f"u{i:02d}" for i in range(30)]
    add_labels(run, ids)
    generator = np.random.default_rng(0)
    np.save(
        run / "clusters/embeddings.npy",
        generator.standard_normal((30, 8)).astype(np.float32),
    )
    write_json(
        run / "clusters/source.json",
        {
            "suggestion": {
                "num_clusters": 9,
                "speakers": 7,
                "tried": [[2, 0.1], [7, 0.3], [12, 0.2]],
            }
        },
    )
    (tmp_path / "audio").mkdir()
    rows = ["ID,wav,duration,num_frames,sample_rate,session"]
    for number, name in enumerate(ids):
        wave = voice(generator, number % 5, 1.5)
        soundfile.write(tmp_path / f"audio/{name}.wav", wave, RATE)
        rows.append(f"{name},{name}.wav,1.5,{len(wave)},{RATE},{number}")
    prepared = tmp_path / "out/prepared"
    write_text(prepared / "train.csv", "\n".join(rows) + "\n")
    write_text(prepared / "excluded.csv", "path,reason\n")
    counts = {"train": 30, "train hours": 0.01, "train sessions": 30}
    counts |= {"test": 0, "test speaker": 0, "left out": {}}
    counts |= {"trials": {}, "duplicate trials": {}}
    made_from = {"data_folder": str(tmp_path / "audio")}
    write_json(
        prepared / "prepared.json", {"made_from": made_from, "counts": counts}
    )
    return tmp_path / "out"


def test_voices_are_in_the_page_unless_left_out(audio):
    page = write_report([audio]).read_text()
    assert page.count("<audio") == 2 * (6 + 6)
    assert "whoever gets it hears the voices" in page
    assert "Map of the utterances" in page and "How many clusters?" in page
    silent = write_report([audio], audio=False).read_text()
    assert "<audio" not in silent and "Listen" not in silent.split("<h3")[-1]
    assert "hears the voices" not in silent


def test_a_clip_is_the_middle_of_its_utterance(audio):
    clips = Clips(audio / "prepared")
    html = clips.of("u03")
    sound = base64.b64decode(html.split("base64,")[1].split('"')[0])
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert rate in (RATE, 48000) and 1.3 < len(samples) / rate < 1.7
    assert "Not among" in clips.of("nobody")


def test_clips_end_where_the_limit_is(audio):
    clips = Clips(audio / "prepared", max_bytes=20000)
    players = [clips.of(f"u{i:02d}") for i in range(12)]
    heard = sum("<audio" in player for player in players)
    assert 1 <= heard < 12
    assert players[-1] == ""


def test_audio_that_is_gone_is_said(audio):
    (audio.parent / "audio/u00.wav").unlink()
    assert "not there any more" in Clips(audio / "prepared").of("u00")
    assert isinstance(clips_of(None), NoClips)
    assert isinstance(clips_of(audio / "nothing"), NoClips)


def test_without_lists_the_verdict_says_what_is_not_known(audio):
    write_json(
        audio / "outcome.json",
        {"model": "m", "threshold": 0.456, "clusters": "clusters.csv"},
    )
    text = verdict(read_chain(audio))
    assert "nothing here says how often" in text
    assert "30 training utterances are in 7 clusters" in text
    assert "look like about 7 speakers" in text
    assert "A score above 0.46" in text and "--trial_lists" in text


def test_with_lists_the_verdict_gives_the_error_and_its_doubt(tmp_path):
    runs = []
    for name in ("first", "last"):
        run = make_run(tmp_path / "out" / name, history_of("dino", 2))
        add_scores(run)
        runs.append(run)
    chain = read_chain(tmp_path / "out")
    text = errors(chain.runs)
    assert "On " in text and "95 %" in text
    assert "did not fall" in text  # both folders are the same
    assert "other test speakers" in text


def test_a_ceiling_is_not_the_outcome(tmp_path):
    """Nor are the clusters of what learnt from true speakers."""
    rates = {"first": 20.0, "last": 10.0, "ceiling": 4.0}
    for name, rate in rates.items():
        run = make_run(tmp_path / "out" / name, history_of("dino", 2))
        add_labels(run)
        metrics = {"eer": rate, "intervals": {"eer": [rate - 1, rate + 1]}}
        write_json(run / "verify/metrics.json", {"trials": metrics})
    with (run / "hyperparams.yaml").open("a") as file:
        file.write("label_fraction: 1.0\n")
    rows = [{"name": x, "nmi": y / 20, "purity": 5} for x, y in rates.items()]
    write_json(tmp_path / "out/metrics.json", {"stages": rows})
    text = verdict(read_chain(tmp_path / "out"))
    assert "fell from 20 % (first) to 10 % (last; 95 %: 9 to 11)." in text
    assert "Learnt from true speakers: 4 % (ceiling)." in text
    assert "training never saw: NMI 0.500" in text
    alone = verdict(read_chain(run))
    assert "the equal error rate is 4 % (ceiling; 95 %: 3 to 5)." in alone
    assert "Learnt from" not in alone


def test_a_map_parts_what_is_apart():
    generator = np.random.default_rng(0)
    embeddings = np.eye(8)[[0, 3]].repeat(30, axis=0)
    embeddings = embeddings + 0.05 * generator.standard_normal((60, 8))
    rows, places = numbers.places(np.float32(embeddings))
    assert rows.tolist() == list(range(60))
    first, second = places[:30], places[30:]
    within = np.linalg.norm(first - first.mean(0), axis=1).max()
    assert np.linalg.norm(first.mean(0) - second.mean(0)) > within
    assert len(numbers.places(np.eye(3))[0]) == 0
    assert len(numbers.places(generator.standard_normal((50, 4)), 20)[0]) == 20
