"""Is DINO learning or collapsing? Seen without any label.

A batch is summed up in one vector, so that ranks need one reduction and the
device is never waited for; an epoch's vector is read once, at its end.
"""

import math

import torch
import torch.nn.functional as F

NUM_SCALARS = 4  # samples, entropy, cross-entropy, spread

# Before the first step K = 65,536 prototypes of 2,048 dimensions are at 0.986
# and 0.12 nats. The spread of embeddings would not tell a collapse from that:
# BatchNorm keeps it near one.
UNIFORM_ENTROPY = 0.98  # share of ln K
MIN_INFORMATION = 0.01  # nats
MIN_MEAN_ENTROPY = 0.1  # share of ln K
UNIFORM = (
    "training has collapsed: the teacher finds all prototypes equally likely, "
    "whatever it hears. Lower teacher_temp or lr, or raise ema_start, and "
    "begin again"
)
ONE_PROTOTYPE = (
    "training has collapsed: one prototype is the teacher's answer to nearly "
    "everything. Lower center_momentum (1 is no centring) or lr, or raise "
    "teacher_temp, and begin again"
)


@torch.no_grad()
def batch_statistics(targets, cross_entropy, embeddings):
    """Sums over the samples of a batch.

    Arguments
    ---------
    targets : torch.Tensor
        (G, B, K) distributions of the teacher.
    cross_entropy : torch.Tensor
        (B,) of teacher and student, mean over the views of an utterance.
    embeddings : torch.Tensor
        (G, B, D) of the teacher.

    Returns
    -------
    torch.Tensor
        (4 + 2 K,): number of samples; sums of entropy, cross-entropy and
        spread; sum of the distributions (K); how often each prototype was the
        largest (K).
    """
    targets = targets.float().flatten(0, 1)
    num_samples = len(targets)
    largest = targets.argmax(-1)
    scalars = [
        targets.new_full((), num_samples),
        torch.special.entr(targets).sum(),
        cross_entropy.float().mean() * num_samples,
        spread(embeddings.flatten(0, 1)) * num_samples,
    ]
    hits = torch.zeros_like(targets[0]).index_add_(
        0, largest, torch.ones_like(largest, dtype=targets.dtype)
    )
    return torch.cat([torch.stack(scalars), targets.sum(0), hits])


def spread(embeddings):
    """How much directions differ: 0 all the same, 1 evenly in all directions.

    Mean over dimensions of the standard deviation of embeddings of length
    one, times the square root of D.

    Arguments
    ---------
    embeddings : torch.Tensor
        (n, D), n > 1.

    Returns
    -------
    torch.Tensor
        A scalar.

    Example
    -------
    >>> round(spread(torch.tensor([[3.0, 0.0], [0.0, 0.1]])).item(), 3)
    1.0
    """
    unit = F.normalize(embeddings.float(), dim=-1)
    return unit.std(0).mean() * math.sqrt(unit.shape[1])


def health_report(total):
    """Figures of an epoch from the sum of its ``batch_statistics``.

    Arguments
    ---------
    total : torch.Tensor
        (4 + 2 K,)

    Returns
    -------
    dict
        In nats: ``teacher_entropy`` (mean over samples), ``mean_entropy`` (of
        the mean distribution), ``information`` (the second minus the first:
        what prototypes say of the sample) and ``teacher_student_kl``. As
        shares: ``mean_entropy_share`` of ln K, ``prototypes_used`` (at least
        once the largest). ``embedding_spread``, see ``spread``, of a batch.

    Example
    -------
    >>> targets = torch.eye(4)[:2, None]  # two views, one utterance
    >>> sums = batch_statistics(targets, torch.ones(1), torch.eye(2)[:, None])
    >>> report = health_report(sums)
    >>> report["teacher_entropy"], report["mean_entropy_share"]
    (0.0, 0.5)
    >>> report["teacher_student_kl"], report["prototypes_used"]
    (1.0, 0.5)
    """
    total = total.double().cpu()
    samples, entropy, cross_entropy, spread_sum = total[:NUM_SCALARS].tolist()
    targets, hits = total[NUM_SCALARS:].chunk(2)
    mean_entropy = torch.special.entr(targets / samples).sum().item()
    return {
        "teacher_entropy": entropy / samples,
        "mean_entropy": mean_entropy,
        "information": mean_entropy - entropy / samples,
        "mean_entropy_share": mean_entropy / math.log(len(targets)),
        "teacher_student_kl": (cross_entropy - entropy) / samples,
        "prototypes_used": (hits > 0).double().mean().item(),
        "embedding_spread": spread_sum / samples,
    }


def collapse_warning(report, num_prototypes):
    """What went wrong and what to change, or None where all is well.

    Arguments
    ---------
    report : dict
        See ``health_report``.
    num_prototypes : int

    Returns
    -------
    str or None
    """
    uniform = UNIFORM_ENTROPY * math.log(num_prototypes)
    if (
        report["teacher_entropy"] > uniform
        and report["information"] < MIN_INFORMATION
    ):
        return UNIFORM
    if report["mean_entropy_share"] < MIN_MEAN_ENTROPY:
        return ONE_PROTOTYPE
    return None


class TrainingHealth(torch.nn.Module):
    """Sum of the ``batch_statistics`` of an epoch, as a buffer.

    Arguments
    ---------
    num_prototypes : int
    """

    def __init__(self, num_prototypes):
        super().__init__()
        self.num_prototypes = num_prototypes
        self.register_buffer(
            "total", torch.zeros(NUM_SCALARS + 2 * num_prototypes)
        )

    def add(self, statistics):
        """Adds a batch, the mean over ranks of their statistics."""
        self.total += statistics

    def close_epoch(self):
        """The ``health_report`` of the epoch; begins the next one.

        A collapsed epoch has a "warning" as well.
        """
        report = health_report(self.total)
        self.total.zero_()
        warning = collapse_warning(report, self.num_prototypes)
        return report | ({"warning": warning} if warning else {})
