"""What several ranks share while they train: gradients, and statistics."""

import torch
from torch.nn import SyncBatchNorm
from torch.nn.parallel import DistributedDataParallel


def wrap_(modules, teacher, device, find_unused_parameters=False):
    """Has ranks average the gradients, and on GPUs what BatchNorm sees.

    Arguments
    ---------
    modules : torch.nn.ModuleDict
        Of which those that learn are replaced.
    teacher : torch.nn.Module or None
    device : str
    find_unused_parameters : bool
        See ``DistributedDataParallel``.
    """
    on_cuda = torch.device(device).type == "cuda"
    if on_cuda and teacher is not None:
        # DINO's normalises by its batch too: that of all ranks
        SyncBatchNorm.convert_sync_batchnorm(teacher)
    for name, module in modules.items():
        if any(p.requires_grad for p in module.parameters()):
            if on_cuda:
                module = SyncBatchNorm.convert_sync_batchnorm(module)
            modules[name] = DistributedDataParallel(
                module,
                device_ids=[device] if on_cuda else None,
                broadcast_buffers=False,  # synchronised, or shared later
                find_unused_parameters=find_unused_parameters,
            )
