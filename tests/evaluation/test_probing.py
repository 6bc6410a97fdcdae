"""DINO's outputs as speaker labels."""

import pytest
import torch

from ssrl_brain.evaluation.probing import probe, top_two


def test_the_center_counts_and_the_order_is_kept():
    logits = torch.tensor([[1.0, 5.0, 3.0], [0.0, 0.2, 0.1]])
    assert top_two(logits, torch.zeros(3)).tolist() == [[1, 2], [1, 2]]
    center = torch.tensor([0.0, 6.0, 0.0])
    assert top_two(logits, center).tolist() == [[2, 0], [2, 0]]


def test_pairs_tell_apart_what_the_likeliest_does_not():
    """One label for both speakers says nothing; the pairs say it all."""
    top = torch.tensor([[7, 1], [7, 1], [7, 2], [2, 7]])
    found = probe(top, ["ann", "ann", "bob", "bob"])
    assert found["probe_nmi_pair"] == pytest.approx(1)
    assert found["probe_pairs"] == 2
    assert found["probe_labels"] == 2
    assert 0 < found["probe_nmi"] < 1


def test_pairs_are_not_mixed_up():
    top = [[0, 3], [1, 2], [3, 1], [2, 0]]
    assert probe(top, [0, 1, 2, 3])["probe_pairs"] == 4


def test_one_prototype_for_all_says_nothing():
    found = probe([[0, 1]] * 4, [0, 0, 1, 1])
    assert found["probe_nmi"] == found["probe_nmi_pair"] == 0
    assert found["probe_labels"] == found["probe_pairs"] == 1


def test_prototypes_survive_single_precision():
    """They travel as embeddings do, in float32."""
    top = torch.tensor([[65535, 65534]]).float()
    assert top.long().tolist() == [[65535, 65534]]
    assert probe(top, [0])["probe_labels"] == 1
