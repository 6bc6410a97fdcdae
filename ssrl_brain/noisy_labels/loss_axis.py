"""On which axis of the losses the two Gaussians are fitted.

The papers take the logarithm. The cross-entropy of a label is
ln(1 + exp(x)), with x the log odds against it. Where the label wins, its
logarithm is nearly x; where it loses, it is nearly ln(x) and bends. While a
model is still learning, many right labels lose by little: on the logarithm
they crowd against the wrong ones with a long tail to the left, and the mixture
may find the tail instead of the wrong labels. On the log odds nothing bends.
"""

import torch
import torch.nn.functional as F


class LogLoss:
    """The logarithm of the loss (SSRL, eq. 17; DLG-LC, eq. 7).

    Example
    -------
    >>> axis = LogLoss()
    >>> axis.of(torch.tensor([1.0, 0.0]))
    tensor([0., -inf])
    >>> axis.to_loss(torch.tensor(0.0))
    tensor(1.)
    """

    label = "ln(loss)"

    def of(self, loss):
        """Positions (N,) of losses (N,); a loss of 0 is at -inf."""
        return loss.log()

    def to_loss(self, x):
        """Losses (N,) at positions (N,)."""
        return x.exp()


class LogOdds:
    """Log odds against the label, by which its loss is ln(1 + exp(x)).

    Ours; no paper has it.

    Example
    -------
    >>> axis = LogOdds()
    >>> axis.of(torch.tensor([1.0, 9.0, 0.0]))
    tensor([0.5413, 8.9999,   -inf])
    >>> axis.to_loss(torch.tensor(0.0))
    tensor(0.6931)
    """

    label = "ln(exp(loss) - 1)"

    def of(self, loss):
        """Positions (N,) of losses (N,); a loss of 0 is at -inf."""
        return loss + torch.log(-torch.expm1(-loss))  # exp would overflow

    def to_loss(self, x):
        """Losses (N,) at positions (N,)."""
        return F.softplus(x)
