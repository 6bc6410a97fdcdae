"""The visual ResNet34 of Table II."""

import pytest
import torch
from torch import nn

from ssrl_brain.networks.models import EncoderWithHead
from ssrl_brain.networks.visual import AudioVisualStudent, VisualResNet


def test_table_2():
    """Sizes of every row of the table, for the image size of the paper."""
    network = VisualResNet().eval()
    sizes = []
    for layer in network.layers:
        layer.register_forward_hook(
            lambda _, __, out: sizes.append(tuple(out.shape[1:]))
        )
    images = torch.randint(256, (1, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        found = network.feature_map(images)
        embedding = network(images)
    assert found.shape == (1, 256, 14, 14)
    assert embedding.shape == (1, 1, 192)
    after = [sizes[0], *(sizes[2 + n] for n in (3, 7, 13, 16))]
    assert after == [
        (32, 224, 224),
        (32, 112, 112),
        (64, 56, 56),
        (128, 28, 28),
        (256, 14, 14),
    ]
    kernels = {
        m.kernel_size for m in network.modules() if isinstance(m, nn.Conv2d)
    }
    assert kernels == {(3, 3), (1, 1)}
    assert not any(isinstance(m, nn.MaxPool2d) for m in network.modules())
    convolutions = [
        m
        for m in network.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)
    ]
    assert len(convolutions) == 1 + 2 * (3 + 4 + 6 + 3)  # and fc: 34 layers


def test_pixels_come_to_half_around_zero():
    network = VisualResNet([1] * 4, [1] * 4, 2).eval()
    seen = []
    network.layers.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    for value in (0, 255):
        network(torch.full((1, 3, 16, 16), value, dtype=torch.uint8))
    assert [(x.min(), x.max()) for x in seen] == [(-0.5, -0.5), (0.5, 0.5)]


@pytest.mark.parametrize("learning", ["audio", "visual"])
def test_networks_learn_apart(learning):
    """No gradient of one modality's loss reaches the other's network."""
    student = AudioVisualStudent(
        EncoderWithHead(nn.Linear(4, 3), nn.Linear(3, 5)),
        EncoderWithHead(VisualResNet([2] * 4, [1] * 4, 3), nn.Linear(3, 5)),
    )
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    logits = student(torch.rand(2, 4), images)
    logits[["audio", "visual"].index(learning)].square().sum().backward()
    for name, parameter in student.named_parameters():
        grad = parameter.grad
        if name.startswith(learning):
            assert grad is not None, name
        else:
            assert grad is None or not grad.any(), name
