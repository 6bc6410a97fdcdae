"""Classification losses that return one value per utterance."""

import torch
import torch.nn.functional as F


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
        return F.cross_entropy(
            self.margin_fn(cosine, one_hot), labels, reduction="none"
        )

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
        return F.cross_entropy(logits.float(), labels, reduction="none")

    def logits(self, logits):
        """Logits (B, K) in full precision."""
        return logits.float()
