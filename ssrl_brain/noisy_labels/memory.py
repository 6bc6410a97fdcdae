"""What is remembered of every utterance, as buffers that checkpoints hold.

All rows are rows of the utterance table, never positions in a batch.
"""

import math

import torch


def share(chosen):
    """Share of the rows that are chosen, (N,) bool, as a number."""
    return chosen.sum().item() / max(len(chosen), 1)


def queue_mode(queue):
    """Most frequent label of each queue; ties go to the most recent label.

    Arguments
    ---------
    queue : torch.Tensor
        (B, L) labels, oldest first; -1 marks a slot not yet filled.

    Returns
    -------
    torch.Tensor
        (B,) labels; -1 where the queue is empty.

    Example
    -------
    >>> queue_mode(torch.tensor([[3, 7, 3], [-1, 2, 5], [-1, -1, -1]]))
    tensor([ 3,  5, -1])
    """
    votes = (queue[:, :, None] == queue[:, None, :]).sum(-1)  # (B, L)
    votes = votes.masked_fill(queue < 0, 0)
    recency = torch.arange(queue.shape[1], device=queue.device)
    winner = (votes * queue.shape[1] + recency).argmax(-1)  # (B,)
    return queue.gather(1, winner[:, None]).squeeze(1)


def queue_agreement(queue, labels):
    """Mean share of a queue that agrees with the label it votes for.

    Arguments
    ---------
    queue : torch.Tensor
        (N, L) predictions; -1 marks a slot not yet filled.
    labels : torch.Tensor
        (N,) their modes.

    Returns
    -------
    float
        Over the queues that hold a prediction; nan if there is none.

    Example
    -------
    >>> queue = torch.tensor([[3, 7, 3, 3], [-1, -1, -1, 5], [-1, -1, -1, -1]])
    >>> queue_agreement(queue, torch.tensor([3, 5, 9]))
    0.875
    """
    # a part at a time: sums of many rows take more memory than the queues
    parts = zip(queue.split(2**18), labels.split(2**18), strict=True)
    total, used = 0.0, 0
    for part in parts:
        shares = _agreement(*part)
        total += shares.double().sum().item()
        used += len(shares)
    return total / used if used else math.nan


def _agreement(queue, labels):
    """(M,) the share of each queue that holds a prediction."""
    filled = queue >= 0
    agreeing = (filled & (queue == labels[:, None])).sum(1)
    used = filled.any(1)
    return agreeing[used] / filled[used].sum(1)


def cluster_size_quantiles(labels):
    """How many utterances the clusters hold that hold any.

    Arguments
    ---------
    labels : torch.Tensor
        (N,)

    Returns
    -------
    list of float
        Smallest, lower quartile, median, upper quartile, largest.

    Example
    -------
    >>> cluster_size_quantiles(torch.tensor([4, 4, 4, 7, 9]))
    [1.0, 1.0, 1.0, 2.0, 3.0]
    """
    sizes = labels.bincount()
    sizes = sizes[sizes > 0].double()
    return sizes.quantile(sizes.new_tensor([0, 0.25, 0.5, 0.75, 1])).tolist()


class LabelQueue(torch.nn.Module):
    """Current pseudo label and the last predictions of every utterance.

    SSRL, III-C. The student's last prediction is kept for the log alone.

    Arguments
    ---------
    labels : torch.Tensor
        (N,) initial pseudo labels.
    length : int
        Predictions kept; 1 means no queue.

    Example
    -------
    >>> memory = LabelQueue(torch.tensor([0, 1]), length=3)
    >>> memory.enqueue(torch.tensor([1]), torch.tensor([4]))
    >>> memory.label.tolist(), memory.queue.tolist()
    ([0, 4], [[-1, -1, -1], [-1, -1, 4]])
    """

    def __init__(self, labels, length):
        super().__init__()
        if length < 1:
            raise ValueError(
                f"label_queue_length must be at least 1, got {length}"
            )
        labels = labels.to(torch.int32)
        self.register_buffer("label", labels.clone())
        self.register_buffer("previous_label", labels.clone())
        self.register_buffer("student_label", torch.full_like(labels, -1))
        self.register_buffer(
            "queue", torch.full((len(labels), length), -1, dtype=torch.int32)
        )

    def enqueue(self, index, labels):
        """Adds predictions and renews the labels by the vote of the queue.

        Arguments
        ---------
        index, labels : torch.Tensor
            (M,) rows of the table and their predicted labels; a row that
            stands there twice, as after ``gather_rows``, counts once.
        """
        history = self.queue[index]
        history = torch.cat(
            [history[:, 1:], labels[:, None].to(history.dtype)], dim=1
        )
        self.queue[index] = history
        self.label[index] = queue_mode(history)

    def note_student(self, index, labels):
        """index (M,) rows, labels (M,) that the student predicts."""
        self.student_label[index] = labels.to(self.student_label.dtype)

    def close_epoch(self):
        """What an epoch did to the labels; begins the next one.

        Returns
        -------
        dict
            ``clusters`` in use and their ``cluster_size_quantiles``;
            ``labels_changed``, the share that differs from the last call;
            ``queue_agreement``, where a queue holds anything;
            ``teacher_student_agreement``, the share of the utterances whose
            label the student predicted.
        """
        changed = share(self.label != self.previous_label)
        agreed = share(self.student_label == self.label)
        self.previous_label.copy_(self.label)
        record = {
            "clusters": int((self.label.bincount() > 0).sum()),
            "cluster_size_quantiles": cluster_size_quantiles(self.label),
            "labels_changed": changed,
            "teacher_student_agreement": agreed,
        }
        if (self.queue[:, -1] >= 0).any():  # of which the last is filled first
            record["queue_agreement"] = queue_agreement(self.queue, self.label)
        return record


class LossMemory(torch.nn.Module):
    """Last loss of every utterance, and how clean its label seems.

    ``clean_prob`` is what training reads; it stays the same for an epoch
    while ``loss`` is being rewritten.

    Arguments
    ---------
    num_utterances : int

    Example
    -------
    >>> memory = LossMemory(2)
    >>> memory.write(torch.tensor([1]), torch.tensor([0.5]))
    >>> memory.loss.tolist(), memory.clean_prob.tolist()
    ([nan, 0.5], [1.0, 1.0])
    """

    def __init__(self, num_utterances):
        super().__init__()
        self.register_buffer("loss", torch.full((num_utterances,), torch.nan))
        self.register_buffer("clean_prob", torch.ones(num_utterances))

    def write(self, index, loss):
        """index (M,) rows, loss (M,)"""
        self.loss[index] = loss.float()


class GateMemory(torch.nn.Module):
    """Last clean loss of every utterance, and what DLG-LC made of it.

    Arguments
    ---------
    num_utterances : int

    Example
    -------
    >>> memory = GateMemory(2)
    >>> yes, no = torch.tensor([True]), torch.tensor([False])
    >>> label = torch.tensor([7])
    >>> memory.write(torch.tensor([1]), torch.tensor([0.5]), label, yes, no)
    >>> memory.loss.tolist(), memory.shares()["passed"]
    ([nan, 0.5], 0.5)
    """

    def __init__(self, num_utterances):
        super().__init__()
        no = torch.zeros(num_utterances, dtype=torch.bool)
        self.register_buffer("loss", torch.full((num_utterances,), torch.nan))
        self.register_buffer("prediction", no.int() - 1)
        self.register_buffer("passed", no.clone())
        self.register_buffer("corrected", no.clone())

    def write(self, index, loss, prediction, passed, corrected):
        """index (M,) rows; their values, each (M,)"""
        self.loss[index] = loss.float()
        self.prediction[index] = prediction.int()
        self.passed[index] = passed
        self.corrected[index] = corrected

    def shares(self):
        """Shares of the utterances that passed, were corrected, dropped."""
        passed, corrected = share(self.passed), share(self.corrected)
        return {
            "passed": passed,
            "corrected": corrected,
            "dropped": 1.0 - passed - corrected,
        }


class CaseMemory(torch.nn.Module):
    """Last clean losses of every utterance, and what became of it.

    As ``GateMemory``, of several modalities that decide together, see
    ``ssrl_brain.losses.audio_visual.joint_cases``.

    Arguments
    ---------
    num_utterances, num_modalities : int

    Example
    -------
    >>> memory = CaseMemory(2, 2)
    >>> memory.write(
    ...     torch.tensor([1]),
    ...     *(torch.tensor([[x, y]]) for x, y in [(0.5, 2.0), (7, 8), (3, 0)]),
    ... )
    >>> memory.loss.tolist()[1], memory.case.tolist()
    ([0.5, 2.0], [[0, 0], [3, 0]])
    """

    def __init__(self, num_utterances, num_modalities):
        super().__init__()
        shape = num_utterances, num_modalities
        self.register_buffer("loss", torch.full(shape, torch.nan))
        self.register_buffer(
            "prediction", torch.full(shape, -1, dtype=torch.int32)
        )
        self.register_buffer("case", torch.zeros(shape, dtype=torch.int8))

    def write(self, index, loss, prediction, case):
        """index (m,) distinct rows; their values, each (m, M)"""
        self.loss[index] = loss.float()
        self.prediction[index] = prediction.int()
        self.case[index] = case.to(torch.int8)
