"""Cosines with prototypes, of which there are so many that passes count."""

import torch
import torch.nn.functional as F


class _Cosines(torch.autograd.Function):
    """See ``prototype_cosines``."""

    @staticmethod
    def forward(ctx, x, prototypes):
        norms = torch.linalg.vector_norm(prototypes, dim=1)
        # Dividing the (N, K) products by the norms equals normalising the
        # (K, D) matrix, which at K = 65,536 is far larger.
        cosines = F.linear(x, prototypes) / norms
        ctx.save_for_backward(x, prototypes, norms, cosines)
        return cosines

    @staticmethod
    def backward(ctx, gradient):
        x, prototypes, norms, cosines = ctx.saved_tensors
        along = (gradient * cosines).sum(0) / norms.square()  # (K,)
        gradient = gradient / norms
        for_x = for_prototypes = None
        if ctx.needs_input_grad[0]:
            for_x = gradient @ prototypes
        if ctx.needs_input_grad[1]:
            for_prototypes = gradient.T @ x
            for_prototypes.addcmul_(prototypes, along[:, None], value=-1)
        return for_x, for_prototypes


def prototype_cosines(x, prototypes):
    """Cosines of vectors of length 1 with prototypes of any length.

    As ``x @ normalize(prototypes).T``, but backwards with a product and one
    pass over the (K, D) matrix, where autograd makes several.

    Arguments
    ---------
    x : torch.Tensor
        (N, D) of length 1.
    prototypes : torch.Tensor
        (K, D) none of them zero.

    Returns
    -------
    torch.Tensor
        (N, K)

    Example
    -------
    >>> x, prototypes = torch.eye(2), torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    >>> prototype_cosines(x, prototypes)
    tensor([[0.6000, 0.0000],
            [0.8000, 1.0000]])
    """
    return _Cosines.apply(x, prototypes)
