"""Encoder with a head, and the heads that the toolkit does not have."""

import torch
import torch.nn.functional as F

from ssrl_brain.networks.faster import make_faster_
from ssrl_brain.networks.prototypes import prototype_cosines
from ssrl_brain.system.devices import full_precision


class EncoderWithHead(torch.nn.Module):
    """A speaker encoder and what is trained on top of it.

    One forward takes the crops of all lengths: under DDP two forwards of a
    network with BatchNorm before one backward are an error. Parts of the
    encoder that come in evaluation mode, as a pretrained front-end does,
    stay in it whether they learn or not: no dropout, masks, skipped layers.
    The head computes in float32 whatever the precision of the encoder.

    Arguments
    ---------
    encoder : torch.nn.Module
        (n, frames, F) -> (n, 1, D), as every encoder of the toolkit.
    head : torch.nn.Module
        (N, D) -> (N, K).
    dropout : float
        Of the embeddings on their way to the head: noise of the model.

    Example
    -------
    >>> mean = torch.nn.AdaptiveAvgPool2d((1, 2))
    >>> model = EncoderWithHead(mean, torch.nn.Linear(2, 3))
    >>> embeddings, logits = model([torch.rand(4, 9, 2), torch.rand(4, 5, 2)])
    >>> embeddings.shape, logits.shape
    (torch.Size([8, 2]), torch.Size([8, 3]))
    """

    def __init__(self, encoder, head, dropout=0.0):
        super().__init__()
        self.encoder = make_faster_(encoder)
        self.head = head
        self.dropout = torch.nn.Dropout(dropout)
        self.always_eval = [
            f"encoder.{name}"
            for name, part in encoder.named_modules()
            if name and not part.training
        ]

    def train(self, mode=True):
        """Sets the mode of all parts but those."""
        super().train(mode)
        for name in self.always_eval:
            self.get_submodule(name).eval()
        return self

    def forward(self, views):
        """views: list of (n, frames, F) -> embeddings (N, D), logits (N, K)"""
        embeddings = torch.cat([self.encoder(x).flatten(1) for x in views])
        with full_precision(embeddings):
            logits = self.head(self.dropout(embeddings).float())
        return embeddings, logits.flatten(1)


class DINOHead(torch.nn.Module):
    """Projection to prototypes of unit length (DINO; SSRL, IV-C3).

    A perceptron, l2 normalisation, and a weight-normalised linear layer
    without bias whose norm is fixed at one. The last hidden width is the
    normalised bottleneck, without activation.

    Arguments
    ---------
    input_dim : int
    hidden_dims : list of int
    num_prototypes : int
    batch_norm : bool
        BatchNorm after each hidden layer but the bottleneck. The original
        DINO has none for vision transformers; speaker recipes use it.

    Example
    -------
    >>> head = DINOHead(4, [8, 3], num_prototypes=5)
    >>> head(torch.rand(2, 4)).abs().max() <= 1
    tensor(True)
    """

    def __init__(self, input_dim, hidden_dims, num_prototypes, batch_norm=True):
        super().__init__()
        layers = []
        widths = [input_dim, *hidden_dims]
        for position, (before, after) in enumerate(
            zip(widths[:-1], widths[1:], strict=True), start=1
        ):
            layers.append(torch.nn.Linear(before, after))
            if position < len(hidden_dims):
                if batch_norm:
                    layers.append(torch.nn.BatchNorm1d(after))
                layers.append(torch.nn.GELU())
        self.projection = torch.nn.Sequential(*layers)
        for layer in self.projection:
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.trunc_normal_(layer.weight, std=0.02)
                torch.nn.init.zeros_(layer.bias)
        self.prototypes = torch.nn.Parameter(
            torch.empty(num_prototypes, widths[-1])
        )
        torch.nn.init.normal_(self.prototypes)

    def forward(self, embeddings):
        """(N, D) -> (N, K) cosines with the prototypes"""
        x = F.normalize(self.projection(embeddings), dim=-1)
        return prototype_cosines(x, self.prototypes)


class LinearHead(torch.nn.Linear):
    """SSRL's predictor for plain cross-entropy: one linear layer with bias.

    Arguments
    ---------
    input_size, out_neurons : int
        Named as those of the toolkit's ``Classifier``.
    """

    def __init__(self, input_size, out_neurons):
        super().__init__(input_size, out_neurons)


class NoHead(torch.nn.Identity):
    """For stages that train the embeddings themselves."""


@torch.no_grad()
def with_statistics_pooling(student):
    """Makes the toolkit's ResNet pool as the iterative framework's does (2.1).

    Its attentive pooling has no switch. Attention logits of zero, never
    trained, weigh all frames alike, which is global statistics pooling; the
    class, and so the export, stays the toolkit's.

    Arguments
    ---------
    student : EncoderWithHead
        Around a ``speechbrain.lobes.models.ResNet.ResNet``; changed in place.

    Returns
    -------
    EncoderWithHead

    Example
    -------
    >>> from speechbrain.lobes.models.ResNet import ResNet
    >>> resnet = ResNet(16, channels=[4] * 4, block_sizes=[1] * 4)
    >>> _ = with_statistics_pooling(EncoderWithHead(resnet, NoHead()))
    >>> resnet.attention(torch.rand(1, 8, 5))[0, 0]
    tensor([0.2000, 0.2000, 0.2000, 0.2000, 0.2000])
    """
    attention = student.encoder.attention.requires_grad_(False)
    logits = attention[-2]  # before the softmax
    torch.nn.init.zeros_(logits.weight)
    torch.nn.init.zeros_(logits.bias)
    return student


@torch.no_grad()
def load_centroids_(head, centroids):
    """Sets a classifier's weight to cluster centroids and its bias to zero.

    SSRL, IV-C5.

    Arguments
    ---------
    head : torch.nn.Module
        With a ``weight`` (K, D), such as the toolkit's ``Classifier``.
    centroids : array_like
        (K, D)

    Raises
    ------
    ValueError
        If the shapes differ.

    Example
    -------
    >>> head = LinearHead(2, 3)
    >>> load_centroids_(head, torch.ones(3, 2))
    >>> head(torch.ones(1, 2))
    tensor([[2., 2., 2.]], grad_fn=<AddmmBackward0>)
    """
    centroids = torch.as_tensor(centroids)
    if centroids.shape != head.weight.shape:
        found, wanted = tuple(centroids.shape), tuple(head.weight.shape)
        raise ValueError(
            f"the label folder has {found[0]} centroids of {found[1]} "
            f"dimensions, the classifier {wanted[0]} of {wanted[1]}: give "
            f"--num_clusters={found[0]} and the encoder that made the labels"
        )
    head.weight.copy_(centroids)
    if getattr(head, "bias", None) is not None:
        head.bias.zero_()
