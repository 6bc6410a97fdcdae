"""Faster layers give what the toolkit's give, gradients included."""

import copy

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.nnet.CNN import Conv1d

from ssrl_brain.networks.faster import GlobalContextPooling, make_faster_


def pair(**options):
    torch.manual_seed(0)
    toolkit = ECAPA_TDNN(
        6, channels=[16] * 4 + [24], attention_channels=4, lin_neurons=5
    )
    return toolkit, make_faster_(copy.deepcopy(toolkit))


@pytest.mark.parametrize("training", [True, False])
def test_same_embeddings_and_gradients(training):
    toolkit, faster = pair()
    x = torch.randn(3, 20, 6)
    for model in (toolkit, faster):
        model.train(training)
        model(x).square().sum().backward()
    torch.testing.assert_close(faster(x), toolkit(x))
    for (name, a), (_, b) in zip(
        faster.named_parameters(), toolkit.named_parameters(), strict=True
    ):
        torch.testing.assert_close(
            a.grad, b.grad, msg=name, rtol=1e-3, atol=1e-4
        )
    for a, b in zip(faster.buffers(), toolkit.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def test_lengths_are_heeded():
    toolkit, faster = pair()
    toolkit.eval(), faster.eval()
    x, lengths = torch.randn(2, 20, 6), torch.tensor([1.0, 0.5])
    torch.testing.assert_close(faster(x, lengths), toolkit(x, lengths))
    assert not torch.allclose(faster(x, lengths), faster(x))


def test_state_is_the_toolkits():
    toolkit, faster = pair()
    assert list(faster.state_dict()) == list(toolkit.state_dict())
    toolkit.load_state_dict(faster.state_dict())


def test_what_changes():
    _, faster = pair()
    assert type(faster.asp) is GlobalContextPooling
    sizes = {
        module.kernel_size: module.padding
        for module in faster.modules()
        if isinstance(module, Conv1d)
    }
    assert sizes == {1: "valid", 3: "same", 5: "same"}
