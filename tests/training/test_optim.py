"""Parameter groups."""

import torch

from ssrl_brain.networks.models import DINOHead
from ssrl_brain.training.optim import decay_groups


def test_only_what_has_two_dimensions_decays():
    head = DINOHead(3, [4, 2], num_prototypes=5)
    parameters = list(head.parameters())
    groups = decay_groups(parameters)
    assert sum(len(group["params"]) for group in groups) == len(parameters)
    before = {name: p.detach().clone() for name, p in head.named_parameters()}
    for parameter in parameters:
        parameter.data += 1.0
        parameter.grad = torch.zeros_like(parameter)
    torch.optim.SGD(groups, lr=1.0, weight_decay=0.5).step()
    for name, parameter in head.named_parameters():
        factor = 0.5 if parameter.ndim > 1 else 1.0
        assert torch.equal(parameter, factor * (before[name] + 1.0)), name
    assert head.prototypes.ndim == 2  # decays, as the original's directions
