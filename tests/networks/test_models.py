"""Encoder with head, and the heads."""

import pytest
import torch
import torch.nn.functional as F
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.lobes.models.ResNet import ResNet

from ssrl_brain.networks.ema import frozen_copy
from ssrl_brain.networks.models import (
    DINOHead,
    EncoderWithHead,
    LinearHead,
    NoHead,
    load_centroids_,
    with_statistics_pooling,
)


class Mean(torch.nn.Module):
    """(n, frames, F) -> (n, 1, F), the shape of the toolkit's encoders."""

    def forward(self, x):
        return x.mean(1, keepdim=True)


def test_views_follow_one_another():
    model = EncoderWithHead(Mean(), torch.nn.Linear(4, 3))
    views = [torch.randn(2, 7, 4), torch.randn(6, 5, 4)]
    embeddings, logits = model(views)
    expected = torch.cat([view.mean(1) for view in views])
    torch.testing.assert_close(embeddings, expected)
    torch.testing.assert_close(logits, model.head(expected))


def test_heads_with_and_without_a_middle_dimension():
    views = [torch.randn(2, 7, 4)]
    for head in (Classifier(4, out_neurons=3), LinearHead(4, 3)):
        assert EncoderWithHead(Mean(), head)(views)[1].shape == (2, 3)
    embeddings, logits = EncoderWithHead(Mean(), NoHead())(views)
    assert torch.equal(embeddings, logits)


def test_dropout_is_for_the_head_alone_and_for_training():
    torch.manual_seed(0)
    model = EncoderWithHead(Mean(), torch.nn.Identity(), dropout=0.5)
    views = [torch.ones(50, 3, 4)]
    embeddings, logits = model(views)
    assert (embeddings == 1).all() and set(logits.unique().tolist()) == {0, 2}
    assert (model.eval()(views)[1] == 1).all()


def test_parts_in_evaluation_mode_stay_in_it():
    def part():
        return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout())

    encoder = torch.nn.Sequential(part().eval(), part())
    model = EncoderWithHead(encoder, NoHead()).eval().train()
    assert model.training and all(m.training for m in encoder[1].modules())
    assert not any(m.training for m in encoder[0].modules())
    teacher = frozen_copy(model).train()  # as its student
    assert not teacher.encoder[0].training and teacher.encoder[1].training


def test_the_toolkits_resnet_pools_mean_and_deviation():
    torch.manual_seed(0)
    resnet = ResNet(16, channels=[4] * 4, block_sizes=[1] * 4, lin_neurons=6)
    with_statistics_pooling(EncoderWithHead(resnet, NoHead()))
    maps = []
    resnet.layer4.register_forward_hook(lambda *x: maps.append(x[2]))
    pooled = []
    resnet.norm_stats.register_forward_hook(lambda *x: pooled.append(x[1][0]))
    resnet.eval()(torch.randn(3, 40, 16))
    frames = maps[0].transpose(2, 3).flatten(1, 2)  # (B, channels x bands, T)
    mean, std = frames.mean(2), frames.var(2, correction=0).clamp(1e-5).sqrt()
    expected = torch.cat([mean, std], 1)
    torch.testing.assert_close(pooled[0], expected, atol=1e-4, rtol=1e-4)
    assert not any(p.requires_grad for p in resnet.attention.parameters())
    assert resnet.fc_embed.weight.requires_grad


def test_dino_logits_are_cosines_with_the_prototypes():
    head = DINOHead(4, [6, 3], num_prototypes=5).eval()
    with torch.no_grad():
        head.prototypes *= torch.arange(1, 6)[:, None]  # norms do not count
    x = torch.randn(2, 4)
    expected = F.cosine_similarity(
        head.projection(x)[:, None], head.prototypes[None], dim=-1
    )
    torch.testing.assert_close(head(x), expected)


@pytest.mark.parametrize("batch_norm, num", [(True, 2), (False, 0)])
def test_layers_of_the_dino_head(batch_norm, num):
    head = DINOHead(4, [8, 8, 3], 5, batch_norm)
    kinds = [type(layer) for layer in head.projection]
    assert kinds.count(torch.nn.Linear) == 3
    assert kinds.count(torch.nn.GELU) == 2  # none after the bottleneck
    assert kinds.count(torch.nn.BatchNorm1d) == num
    assert kinds[-1] is torch.nn.Linear
    assert head.prototypes.shape == (5, 3)
    assert "prototypes" in dict(head.named_parameters())


@pytest.mark.parametrize(
    "head", [Classifier(2, out_neurons=3), LinearHead(2, 3)]
)
def test_a_classifier_begins_at_the_centroids(head):
    centroids = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, -2.0]])
    load_centroids_(head, centroids.numpy())
    logits = head(torch.tensor([[3.0, 4.0]])).flatten()
    if isinstance(head, LinearHead):
        assert logits.tolist() == [25, 3, -8]
    else:  # cosines
        torch.testing.assert_close(logits, torch.tensor([1.0, 0.6, -0.8]))
    assert head.weight.requires_grad


@pytest.mark.parametrize("shape", [(4, 2), (3, 5)])
def test_centroids_of_another_shape_name_the_key(shape):
    with pytest.raises(ValueError, match=rf"--num_clusters={shape[0]}") as e:
        load_centroids_(LinearHead(2, 3), torch.ones(shape))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("make", [Classifier, LinearHead, DINOHead])
def test_the_head_is_exact_inside_of_autocast(make):
    """Clusters whose cosines bf16 could not tell apart stay apart."""
    torch.manual_seed(0)
    if make is DINOHead:
        head = make(8, [8, 6], num_prototypes=5)
    else:
        head = make(input_size=8, out_neurons=5)
    if make is Classifier:
        centroids = torch.randn(8) + 1e-4 * torch.randn(5, 8)
        head.weight.data.copy_(centroids)
    model = EncoderWithHead(torch.nn.Identity(), head)
    embeddings = torch.randn(4, 1, 8)
    expected = model([embeddings])[1]
    with torch.autocast("cpu", torch.bfloat16):
        _, logits = model([embeddings])
    assert logits.dtype == torch.float32
    assert torch.equal(logits, expected)
