"""What notebooks call, and that importing the package costs nothing."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from conftest import TINY

import ssrl_brain
from ssrl_brain.commands import verify as script
from ssrl_brain.commands.command_line import read_yaml


@pytest.fixture
def files(start):
    return sorted(
        str(p) for p in start["data_folder"].rglob("id0000[45]/*/*.wav")
    )


def embed(files, start, **options):
    folder = start["encoder_folder"]
    return ssrl_brain.embed(files, folder, progress=False, **options)


def test_importing_is_light():
    code = "import sys, ssrl_brain; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    assert set(ssrl_brain.__all__) <= set(dir(ssrl_brain))
    with pytest.raises(AttributeError, match="no attribute 'embedd'"):
        _ = ssrl_brain.embedd


def test_a_folder_a_file_and_a_list_are_embedded(start, files, monkeypatch):
    paths, vectors = embed(files, start)
    assert paths == files and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    one = embed(files[3], start)
    assert one.paths == [files[3]]
    assert np.array_equal(one.vectors[0], vectors[3])
    folder = start["data_folder"]
    all_of_them = embed(folder, start)
    assert len(all_of_them.paths) == len(list(folder.rglob("*.wav")))
    monkeypatch.chdir(folder)
    relative = embed([f"wav/{files[3].partition('/wav/')[2]}"], start)
    assert np.array_equal(relative.vectors, one.vectors)


def test_unusable_files_are_left_out_and_named(
    start, files, tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr("ssrl_brain.interface.logger.warning", told.append)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    shutil.copy(files[0], tmp_path / "good.wav")
    found = embed(tmp_path, start)
    assert found.paths == [str(tmp_path / "good.wav")]
    assert len(told) == 2
    assert "silent.wav is left out: silent" in "".join(told)
    with pytest.raises(ValueError, match="no usable audio among 1 files"):
        embed(tmp_path / "broken.wav", start)
    with pytest.raises(ValueError, match="no usable audio"):
        embed(tmp_path / "missing.wav", start)


def test_clusters_of_embeddings():
    vectors = np.float32([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    found = ssrl_brain.cluster(vectors, 2)
    same = found.labels[:, None] == found.labels
    assert np.array_equal(same, np.kron(np.eye(2), np.ones((2, 2))) > 0)


def test_verification_is_that_of_the_script(start, command, tmp_path):
    line = command(
        "verify.yaml", **start, output_folder=tmp_path, num_bootstraps=0
    )
    (expected,) = script.main(line).values()
    data = start["data_folder"]
    names = data / "wav"
    found = ssrl_brain.verify(
        data / "trials.txt", start["encoder_folder"], names, progress=False
    )
    for key in ("eer", "min_dcf_0.05", "min_dcf_0.01"):
        assert found[key] == pytest.approx(expected[key], abs=1e-9)
    lines = (tmp_path / "scores/trials.txt").read_text().splitlines()
    scores = [float(line.split()[0]) for line in lines]
    assert np.allclose(found["scores"], scores, atol=2e-6)
    triples = [
        fields.split()
        for fields in (data / "trials.txt").read_text().splitlines()
    ]
    again = ssrl_brain.verify(
        [(int(a), b.removesuffix(".wav"), c) for a, b, c in triples],
        start["encoder_folder"],
        names,
        progress=False,
    )
    assert np.array_equal(again["scores"], found["scores"])
    with pytest.raises(FileNotFoundError, match="check data_folder"):
        ssrl_brain.verify(
            [(1, "a.wav", "b.wav")], start["encoder_folder"], names
        )


def test_training_is_that_of_the_script(tiny_corpus, repository, tmp_path):
    stage = repository / "hparams/contrastive.yaml"
    tiny = {key: TINY[key] for key in read_yaml(stage) if key in TINY}
    export = ssrl_brain.train(
        "contrastive",
        **{**tiny, **tiny_corpus, "number_of_epochs": 1},
        prepared_folder=tmp_path / "prepared",
        output_folder=tmp_path / "run",
        device="cpu",
        noprogressbar=True,
    )
    assert export == tmp_path / "run/export"
    assert (export / "embedding_model.ckpt").is_file()
    with pytest.raises(FileNotFoundError, match="hparams/dinosaur.yaml"):
        ssrl_brain.train("dinosaur")
