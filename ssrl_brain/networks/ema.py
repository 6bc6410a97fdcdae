"""The teacher: a frozen copy that follows the student."""

import copy

import torch


def frozen_copy(module):
    """A deep copy in evaluation mode that no optimizer will change.

    HyperPyYAML's ``!copy`` would build another network with other weights;
    this one has the same.

    Example
    -------
    >>> teacher = frozen_copy(torch.nn.Linear(2, 2))
    >>> any(p.requires_grad for p in teacher.parameters())
    False
    """
    return copy.deepcopy(module).requires_grad_(False).eval()


@torch.no_grad()
def copy_(teacher, student):
    """Makes the teacher equal to the student, buffers included."""
    teacher.load_state_dict(student.state_dict())


@torch.no_grad()
def ema_update_(teacher, student, momentum, buffers=True):
    """Moves the teacher towards the student (SSRL, eq. 4), in place.

    Arguments
    ---------
    teacher, student : torch.nn.Module
        Of the same structure.
    momentum : float
        Weight of the teacher's old value, in [0, 1].
    buffers : bool
        Whether running statistics of BatchNorm move as well, as a teacher
        in evaluation mode needs. A teacher in training mode makes its own.

    Example
    -------
    >>> student = torch.nn.Linear(1, 1, bias=False)
    >>> teacher = frozen_copy(student)
    >>> _ = torch.nn.init.zeros_(teacher.weight)
    >>> _ = torch.nn.init.ones_(student.weight)
    >>> ema_update_(teacher, student, 0.9)
    >>> round(teacher.weight.item(), 4)
    0.1
    """
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    if buffers:
        pairs += zip(teacher.buffers(), student.buffers(), strict=True)
    floating = [(t, s) for t, s in pairs if t.is_floating_point()]
    torch._foreach_lerp_(
        [t for t, _ in floating], [s for _, s in floating], 1.0 - momentum
    )
    counts = [(t, s) for t, s in pairs if not t.is_floating_point()]
    if counts:  # of batches, by BatchNorm
        torch._foreach_copy_([t for t, _ in counts], [s for _, s in counts])
