"""Classification losses that return one value per utterance."""

import torch
import torch.nn.functional as F


def cross_entropy(logits, labels):
    """Cross-entropy of each label, however small it is.

    It is ln(1 + the sum over all other classes of exp(l_j - l_y)), taken as
    such. By way of the softmax, a loss below 6e-8 is 0 in single precision,
    and has no logarithm that SSRL (eq. 17) and DLG-LC (eq. 7) could model:
    the best learnt labels would leave the mixture.

    Arguments
    ---------
    logits : torch.Tensor
        (B, K), or logarithms of posteriors; half precision is raised to
        single.
    labels : torch.Tensor
        (B,)

    Returns
    -------
    torch.Tensor
        (B,) positive; what single precision cannot tell from 0 is its
        smallest normal number, 1.2e-38.

    Example
    -------
    >>> cross_entropy(torch.tensor([[0.0, 30.0]] * 2), torch.tensor([0, 1]))
    tensor([3.0000e+01, 9.3576e-14])
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    limits = torch.finfo(logits.dtype)
    labels = labels[:, None]
    others = logits.scatter(1, labels, limits.min).logsumexp(1)
    own = logits.gather(1, labels).squeeze(1)
    return F.softplus(others - own).clamp_min(limits.tiny)


class MarginCrossEntropy(torch.nn.Module):
    """Angular-margin cross-entropy of cosine logits (SSRL, IV-C5).

    The toolkit's ``LogSoftmaxWrapper`` returns only a mean; weighting, gating
    and recording need the loss of every utterance.

    Arguments
    ---------
    margin_fn : torch.nn.Module
        ``speechbrain.nnet.losses.AdditiveAngularMargin``; a margin of zero
        makes it a cross-entropy of scaled cosines.

    Example
    -------
    >>> from speechbrain.nnet.losses import AdditiveAngularMargin
    >>> loss = MarginCrossEntropy(AdditiveAngularMargin(margin=0.0, scale=1.0))
    >>> loss(torch.zeros(1, 4), torch.tensor([2]))
    tensor([1.3863])
    """

    def __init__(self, margin_fn):
        super().__init__()
        self.margin_fn = margin_fn

    def forward(self, cosine, labels):
        """cosine (B, K), labels (B,) -> (B,)"""
        # Half precision can push a cosine past one, whose sine is not real.
        cosine = cosine.float().clamp(-1.0, 1.0)
        one_hot = F.one_hot(labels, cosine.shape[1]).float()
        return cross_entropy(self.margin_fn(cosine, one_hot), labels)

    def logits(self, cosine):
        """Margin-free logits (B, K), from which posteriors are made."""
        return self.margin_fn.scale * cosine.float()


class CrossEntropy(torch.nn.Module):
    """Plain cross-entropy of unbounded logits, for a ``LinearHead``.

    Example
    -------
    >>> CrossEntropy()(torch.zeros(1, 4), torch.tensor([2]))
    tensor([1.3863])
    """

    def forward(self, logits, labels):
        """logits (B, K), labels (B,) -> (B,)"""
        return cross_entropy(logits, labels)

    def logits(self, logits):
        """Logits (B, K) in full precision."""
        return logits.float()
