"""Which utterances form a batch, as a function of seed and epoch alone."""

from typing import NamedTuple

import numpy as np
import torch


def random_generator(purpose, *key):
    """Random numbers as a function of a purpose and integers.

    Numpy pads a key with zeros, so (1, 2) and (1, 2, 0) would give the same
    numbers; the name of the purpose keeps them apart.

    Example
    -------
    >>> a, b = (random_generator(name, 0) for name in ("order", "crops"))
    >>> bool(a.random() == b.random())
    False
    """
    return np.random.default_rng(
        (int.from_bytes(purpose.encode(), "big"), *key)
    )


def share_of_utterances(table, fraction, seed):
    """Some utterances to train on, drawn at random (DINO study, 5.4).

    With one seed, a smaller share is part of every larger one.

    Arguments
    ---------
    table : Utterances
        Anything of a length.
    fraction : float
        Above 0 and up to 1.
    seed : int

    Returns
    -------
    numpy.ndarray
        (M,) rows, in ascending order; all of them for a fraction of 1.

    Raises
    ------
    ValueError
        For another fraction.

    Example
    -------
    >>> share_of_utterances("abcdefgh", fraction=0.5, seed=0)
    array([0, 2, 3, 4])
    """
    if not 0 < fraction <= 1:
        raise ValueError(
            f"--train_share={fraction} must lie above 0 and up to 1"
        )
    order = random_generator("share", seed).permutation(len(table))
    return np.sort(order[: max(round(fraction * len(table)), 1)])


class Key(NamedTuple):
    """One draw of one utterance; all randomness of a row derives from it."""

    index: int
    epoch: int
    batch: int


class EpochBatchSampler(torch.utils.data.Sampler):
    """Shuffled batches of nearly equal size that cover every utterance.

    The same global batches are made for any number of ranks, each rank takes
    its share of every batch. Sizes differ by one at most, so that no tail of
    a single utterance meets BatchNorm. Where a batch cannot be split evenly,
    or leaves a rank with a single utterance, it is filled up with utterances
    from its own beginning.

    Arguments
    ---------
    num_utterances : int
    batch_size : int
        Utterances in a batch, over all ranks.
    seed : int
    rank, num_ranks : int

    Raises
    ------
    ValueError
        If there are fewer utterances than a batch needs.

    Example
    -------
    >>> sampler = EpochBatchSampler(5, batch_size=3, seed=0)
    >>> sampler.set_epoch(1)
    >>> [len(batch) for batch in sampler]
    [3, 2]
    >>> sorted(key.index for batch in sampler for key in batch)
    [0, 1, 2, 3, 4]
    """

    def __init__(self, num_utterances, batch_size, seed, rank=0, num_ranks=1):
        if batch_size < 2 * num_ranks:
            raise ValueError(
                f"--batch_size={batch_size} gives {num_ranks} rank(s) fewer "
                "than two utterances each: raise --batch_size"
            )
        if num_utterances < batch_size:
            raise ValueError(
                f"{num_utterances} utterances do not fill one batch: "
                f"lower --batch_size={batch_size}"
            )
        self.num_utterances = num_utterances
        self.num_batches = min(
            -(-num_utterances // batch_size), num_utterances // 2
        )
        self.seed = seed
        self.rank = rank
        self.num_ranks = num_ranks
        self.epoch = 0

    def set_epoch(self, epoch):
        """Chooses the order; called by ``Brain.fit``."""
        self.epoch = epoch

    def __len__(self):
        return self.num_batches

    def rest(self, batches):
        """Utterances, of all ranks, that come after so many batches."""
        size, larger = divmod(self.num_utterances, self.num_batches)
        return self.num_utterances - batches * size - min(batches, larger)

    def __iter__(self):
        generator = random_generator("order", self.seed, self.epoch)
        order = generator.permutation(self.num_utterances)
        for number, batch in enumerate(np.array_split(order, self.num_batches)):
            share = max(2, -(-len(batch) // self.num_ranks))
            batch = np.resize(batch, share * self.num_ranks)
            mine = batch[self.rank * share : (self.rank + 1) * share]
            yield [Key(int(i), self.epoch, number) for i in mine]
