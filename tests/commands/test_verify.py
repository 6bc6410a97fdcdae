"""verify.py: what it reports, what it keeps, what it refuses."""

import json
import shutil

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from ssrl_brain.commands import publish, train, verify
from ssrl_brain.evaluation import embed as embed_module
from ssrl_brain.evaluation.metrics import verification_metrics
from ssrl_brain.evaluation.tables import markdown_table, verification_row
from ssrl_brain.evaluation.verification import Validation
from ssrl_brain.handover.encoder_folder import (
    ExportedEncoder,
    encoder_fingerprint,
)


@pytest.fixture
def run(start, command, tmp_path):
    """Runs verify.py on the untrained encoder; returns its metrics."""

    def run(**options):
        given = {**start, "output_folder": tmp_path / "out", **options}
        return verify.main(command("verify.yaml", **given))

    return run


@pytest.fixture
def embedded(monkeypatch):
    """Titles of what was embedded, not taken from the disk."""
    found = []
    original = embed_module.embed

    def counted(encode, table, *arguments, **options):
        found.append(len(table))
        return original(encode, table, *arguments, **options)

    monkeypatch.setattr("ssrl_brain.handover.encoder_folder.embed", counted)
    return found


def columns(path):
    """Columns of a score file."""
    return list(zip(*(x.split() for x in path.open()), strict=True))


def test_figures_follow_from_the_score_files(run, start, tmp_path, capsys):
    metrics = run(cohort_folder=start["label_folder"], cohort_top=4)
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    assert written == metrics and list(metrics) == ["trials"]
    found = metrics["trials"]
    assert found["trials"] == {
        "all": 27,
        "same_speaker": 9,
        "repeated": 0,
        "missing": 0,
    }
    assert found["intervals_by"] == "speaker"
    assert found["encoder"] == encoder_fingerprint(start["encoder_folder"])
    names = []
    for folder, part in (("scores", found), ("as_norm", found["as_norm"])):
        folder = tmp_path / "out" / folder.replace("as_", "scores_as_")
        scores, labels, *names_here = columns(folder / "trials.txt")
        names.append((labels, *names_here))
        expected = verification_metrics(
            np.array(scores, float), np.array(labels, int)
        )
        assert {key: part[key] for key in expected} == expected
        for key, (low, high) in part["intervals"].items():
            assert low <= high, key
        assert set(part["intervals"]) == set(expected)
    assert names[0] == names[1]
    assert markdown_table([verification_row("trials", found)]) in (
        capsys.readouterr().out
    )


def test_embeddings_are_used_again_until_something_changes(
    run, embedded, start, tmp_path
):
    first = run()
    assert run() == first and embedded == [18]
    other = tmp_path / "encoder"
    shutil.copytree(start["encoder_folder"], other)
    assert run(encoder_folder=other) == first and embedded == [18]
    state = torch.load(other / "embedding_model.ckpt", weights_only=True)
    name = next(key for key in state if key.endswith("fc.conv.weight"))
    state[name] = state[name].flip(0) * torch.linspace(0.1, 9, 8)[:, None, None]
    torch.save(state, other / "embedding_model.ckpt")
    assert run(encoder_folder=other) != first and embedded == [18, 18]

    corpus = tmp_path / "corpus"
    shutil.copytree(start["data_folder"], corpus)
    changed = {"data_folder": corpus, "prepared_folder": tmp_path / "prepared"}
    shutil.copy(
        corpus / "wav/id00004/s0/0.wav", corpus / "wav/id00005/s0/0.wav"
    )
    assert run(**changed) != first and embedded == [18, 18, 18]


def test_a_cohort_of_another_encoder_is_embedded_with_this_one(
    run, embedded, start, tmp_path
):
    same = run(cohort_folder=start["label_folder"], cohort_top=4)
    assert embedded == [18]  # the label folder's own embeddings
    foreign = tmp_path / "labels"
    shutil.copytree(start["label_folder"], foreign)
    source = json.loads((foreign / "source.json").read_text())
    (foreign / "source.json").write_text(json.dumps({**source, "encoder": "x"}))
    (foreign / "embeddings.npy").unlink()
    again = run(cohort_folder=foreign, cohort_top=4)
    assert embedded == [18, 24]
    expected = same["trials"]["as_norm"]
    assert again["trials"]["as_norm"] == expected
    assert not (set(run()["trials"]) & {"as_norm"})
    assert not (tmp_path / "out/scores_as_norm").exists()


def test_repeated_and_missing_trials_are_counted_and_named(
    run, start, tmp_path, caplog
):
    text = (start["data_folder"] / "trials.txt").read_text()
    first, second, *_ = text.splitlines()
    path = tmp_path / "list.txt"
    path.write_text(f"{text}{first}\n1 id00004/s0/0.wav nobody/x/1.wav\n")
    options = {"trial_lists": path, "prepared_folder": tmp_path / "prepared"}
    with pytest.raises(ValueError, match=r"line 29: nobody/x/1.wav .*1 trial"):
        run(**options)
    metrics = run(**options, skip_missing_trials=True)
    counts = metrics["list"]["trials"]
    assert (counts["all"], counts["repeated"], counts["missing"]) == (28, 1, 1)
    assert "the first '1 id00004/s0/0 id00004/s1/0'" in caplog.text
    assert "nobody/x/1.wav (no such audio file)" in caplog.text


def test_several_lists_and_no_intervals(run, start, tmp_path):
    text = (start["data_folder"] / "trials.txt").read_text()
    half = tmp_path / "half.txt"
    half.write_text("".join(text.splitlines(keepends=True)[:18]))
    metrics = run(
        trial_lists=f"trials.txt,{half}",
        prepared_folder=tmp_path / "prepared",
        num_bootstraps=0,
    )
    assert list(metrics) == ["half", "trials"]
    assert [m["trials"]["all"] for m in metrics.values()] == [18, 27]
    assert all(m["intervals"] == {} for m in metrics.values())


def test_a_list_of_one_kind_is_marked_and_others_get_figures(
    run, start, command, tmp_path, capsys
):
    text = (start["data_folder"] / "trials.txt").read_text()
    (tmp_path / "alike.txt").write_text(
        "".join(x for x in text.splitlines(True) if x.startswith("1"))
    )
    lists = {
        "trial_lists": f"{tmp_path}/alike.txt,trials.txt",
        "prepared_folder": tmp_path / "prepared",
    }
    metrics = run(**lists, cohort_folder=start["label_folder"], cohort_top=4)
    assert list(metrics) == ["alike", "trials"]
    found = metrics["alike"]
    assert found["lacks"] == "trials of different speakers"
    assert "eer" not in found and found["trials"]["all"] == 9
    assert found["as_norm"]["lacks"] == found["lacks"]
    assert 0 <= metrics["trials"]["eer"] <= 100
    assert "no trials of different speakers" in capsys.readouterr().out
    assert len(columns(tmp_path / "out/scores/alike.txt")[0]) == 9

    # publishing chooses thresholds on the list that has figures
    options = {
        "encoder_folder": start["encoder_folder"],
        "verify_folder": tmp_path / "out",
        "repo_id": "me/voices",
        "license": "mit",
    }
    publish.main([f"--{k}={v}" for k, v in options.items()] + ["--dry_run"])
    assert "rates on the list trials, on which" in capsys.readouterr().out

    validation = Validation(tmp_path / "prepared", ".", 16000)
    assert len(validation.trials.labels) == 27  # not the first list
    with pytest.raises(ValueError, match="valid_list=alike has no trials of"):
        Validation(tmp_path / "prepared", ".", 16000, trial_list="alike")
    (tmp_path / "prepared/trials/trials.txt").unlink()
    assert Validation(tmp_path / "prepared", ".", 16000).trials is None


def test_without_speakers_utterances_are_drawn(run, start, tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    lines = []
    for line in (start["data_folder"] / "trials.txt").read_text().splitlines():
        label, *names = line.split()
        for name in names:
            source = start["data_folder"] / "wav" / name
            shutil.copy(source, folder / name.replace("/", "_"))
        lines.append(" ".join([label, *(n.replace("/", "_") for n in names)]))
    (folder / "trials.txt").write_text("\n".join(lines))
    metrics = run(data_folder=folder, prepared_folder=tmp_path / "prepared")
    assert metrics["trials"]["intervals_by"] == "utterance"
    assert "eer" in metrics["trials"]["intervals"]


def test_a_model_of_the_hub_loads_from_its_folder(start, tmp_path):
    """Such a model says where it was published, and would be fetched."""
    folder = tmp_path / "spkrec"
    shutil.copytree(start["encoder_folder"], folder)
    yaml = YAML()
    content = yaml.load(folder / "hyperparams.yaml")
    content["pretrained_path"] = "speechbrain/does-not-exist"
    content["mean_var_norm_emb"] = yaml.load(
        "!new:speechbrain.processing.features.InputNormalization\n"
        "norm_type: global\nstd_norm: False\n"
    )
    content["modules"]["mean_var_norm_emb"] = content["mean_var_norm_emb"]
    content["pretrainer"]["paths"] = {
        "embedding_model": yaml.load(
            "!ref <pretrained_path>/embedding_model.ckpt"
        )
    }
    del content["sample_rate"]
    yaml.dump(content, folder / "hyperparams.yaml")
    with pytest.raises(ValueError, match="--trust_encoder=True"):
        ExportedEncoder(folder)  # `paths` could lead anywhere
    theirs = ExportedEncoder(folder, trusted=True)
    ours = ExportedEncoder(start["encoder_folder"])
    assert theirs.sample_rate == 16000
    wave = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        theirs(wave, torch.ones(2)), ours(wave, torch.ones(2))
    )


def test_validation_needs_no_more_than_its_own_list_names(run, start, tmp_path):
    """Another list may have other speakers, as one to choose on does."""
    lines = (start["data_folder"] / "trials.txt").read_text().splitlines()
    one = lines[0].split()[1]
    few = [line for line in lines if one in line]
    rest = [line for line in lines if one not in line]
    for name, found in {"few": few, "rest": rest}.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(found))
    prepared = tmp_path / "prepared"
    lists = [str(tmp_path / f"{name}.txt") for name in ("few", "rest")]
    expected = run(
        trial_lists=",".join(lists), prepared_folder=prepared, num_bootstraps=0
    )
    encoder = ExportedEncoder(start["encoder_folder"])
    for name in ("few", "rest"):
        validation = Validation(
            prepared, start["data_folder"], 16000, trial_list=name
        )
        found = validation(encoder, "cpu")
        assert {k: expected[name][k] for k in found} == pytest.approx(found)


def test_validation_embeds_in_batches(start):
    sizes, found = [], []

    def encode(wave, lengths):
        """Something that padding does not change."""
        sizes[-1].append(len(wave))
        moments = [(wave**power).sum(1) for power in (2, 3, 4)]
        return torch.stack(moments, 1) / (lengths * wave.shape[1])[:, None]

    for options in ({}, {"max_padding": 0.9, "batch_seconds": 1000}):
        sizes.append([])
        validation = Validation(
            start["prepared_folder"], start["data_folder"], 16000, **options
        )
        found.append(validation(encode, "cpu"))
    assert len(sizes[1]) == 1 < len(sizes[0])
    assert sum(sizes[0]) == sum(sizes[1])
    assert found[0] == pytest.approx(found[1])


def test_a_stage_hands_its_batches_to_the_validation(start, command, tmp_path):
    line = command(
        "dlg_lc.yaml",
        **{**start, "number_of_epochs": 0},
        output_folder=tmp_path / "run",
        max_padding=0.5,
        batch_seconds=9,
    )
    brain = train.main(line)
    assert brain.hparams.make_validation().batches == {
        "max_padding": 0.5,
        "batch_seconds": 9,
        "num_workers": brain.hparams.num_workers,
    }


def test_scores_are_calibrated_on_a_list(run, start, tmp_path, capsys):
    with pytest.raises(ValueError, match="trials of each kind"):
        run(calibrate=True)  # nine of one speaker are too few
    with pytest.raises(ValueError, match="none of the lists trials"):
        run(calibrate="other")


def test_a_calibration_says_what_its_scores_are_worth(tmp_path):
    generator = np.random.default_rng(0)
    lines = {}
    for name in ("known", "other"):
        labels = np.arange(60) % 2
        scores = 0.2 * generator.standard_normal(60) + 0.4 * labels
        lines[name] = scores, labels
        (tmp_path / "scores").mkdir(exist_ok=True)
        (tmp_path / f"scores/{name}.txt").write_text(
            "".join(
                f"{s:.6f} {y} a b\n"
                for s, y in zip(scores, labels, strict=True)
            )
        )
    metrics = {name: {"encoder": "e"} for name in lines}
    verify.calibrate(metrics, True, tmp_path)
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert written["list"] == "known" and written["encoder"] == "e"
    decided = written["slope"] * written["threshold"] + written["offset"]
    assert abs(decided) < 1e-9
    for name, (scores, labels) in lines.items():
        found = metrics[name]["calibration"]
        llr = written["slope"] * scores + written["offset"]
        expected = np.mean(
            [
                np.log2(1 + np.exp(-llr[labels == 1])).mean(),
                np.log2(1 + np.exp(llr[labels == 0])).mean(),
            ]
        )
        assert found["cllr"] == pytest.approx(expected, abs=1e-4)
        assert found["min_cllr"] <= found["cllr"] < 1
    verify.calibrate({}, False, tmp_path)
    assert not (tmp_path / "calibration.json").exists()
