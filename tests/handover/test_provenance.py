"""What a card tells of data, chain and encoder."""

import json

import pytest
import torch

from ssrl_brain.data.prepare import auto
from ssrl_brain.handover.model_card import model_card
from ssrl_brain.handover.provenance import (
    chain_of,
    describe_data,
    describe_encoder,
    language_of,
)
from ssrl_brain.system.files import write_json, write_text


def run_folder(path, brain, epochs, **keys):
    lines = [f"brain_class: !name:ssrl_brain.brains.{brain}", "seed: 7"]
    lines += [f"{key}: {value}" for key, value in keys.items()]
    write_text(path / "hyperparams.yaml", "\n".join(lines) + "\n")
    history = [json.dumps({"epoch": n + 1, "loss": 1}) for n in range(epochs)]
    write_text(path / "history.jsonl", "\n".join(history) + "\n")
    return path


def test_the_whole_chain_is_told_without_folders_of_the_machine(tmp_path):
    dino = run_folder(tmp_path / "dino", "dino.DINOBrain", 4)
    write_text(dino / "env.log", "Python 3\nssrl_brain commit 0a1b2c3\n")
    ssrl = run_folder(
        tmp_path / "ssrl",
        "ssrl.SSRLBrain",
        6,
        encoder_folder=dino / "export",
        label_folder=dino / "clusters",
    )
    versions = {"its code": "abc", "speechbrain": "1.1.2"}
    write_json(ssrl / "conditions.json", {"versions": versions})
    rows = chain_of(ssrl)
    assert [row["stage"] for row in rows] == ["dino", "ssrl"]
    assert [row["epochs"] for row in rows] == [4, 6]
    assert [row["commit"] for row in rows] == ["0a1b2c3", "abc"]
    assert {row["seed"] for row in rows} == {7}
    assert str(tmp_path) not in json.dumps(rows)
    run = {"text": "", "with_labels": False, "papers": [], "chain": rows}
    assert "| dino | DINO | 4 | 7 | 0a1b2c3 |" in model_card("a/b", "mit", run)


def test_a_chain_ends_where_a_folder_is_gone_or_comes_back(tmp_path):
    one = run_folder(
        tmp_path / "one", "dino.DINOBrain", 1, encoder_folder="gone/export"
    )
    assert [row["stage"] for row in chain_of(one)] == ["one"]
    two = run_folder(
        tmp_path / "two",
        "dino.DINOBrain",
        1,
        encoder_folder=tmp_path / "two" / "export",
    )
    assert len(chain_of(two)) == 1


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_corpus_says_what_it_is(tiny_corpus, tmp_path, synthetic):
    source = tiny_corpus["data_folder"]
    data = tmp_path / "data"
    data.mkdir()
    (data / "wav").symlink_to(source / "wav")
    write_json(
        data / "corpus.json",
        {"name": "Our calls", "language": "de", "synthetic": synthetic},
    )
    auto.prepare(data, tmp_path / "prepared", min_seconds=0.3, num_workers=1)
    text = describe_data(tmp_path / "prepared")
    assert text.startswith("SYNTHETIC") == synthetic
    assert "Our calls: " in text and "shorter than 0.3 s" in text
    assert language_of(tmp_path / "prepared") == "de"
    card = model_card("a/b", "mit", data=text, language="de")
    assert "language: de" in card and "pipeline_tag:" in card


def test_a_corpus_without_a_word_about_itself(tiny_corpus, tmp_path):
    with pytest.raises(ValueError, match="must be an object"):
        write_json(tmp_path / "corpus.json", [1])
        auto.read_corpus(tmp_path)
    assert language_of(tmp_path) is None


def test_sizes_of_an_encoder(start):
    found = describe_encoder(start["encoder_folder"])
    assert found["embedding"] == "8 dimensions"
    assert found["sample rate"].startswith("16,000 Hz")
    state = torch.load(
        f"{start['encoder_folder']}/embedding_model.ckpt", weights_only=True
    )
    learnt = sum(
        value.numel()
        for key, value in state.items()
        if "running" not in key and "num_batches" not in key
    )
    assert found["parameters"] == f"{learnt:,}"
