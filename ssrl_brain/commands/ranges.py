"""Which numbers make sense, by key."""

import math
from typing import NamedTuple

from ssrl_brain.commands.yaml_files import tag_of


class Range(NamedTuple):
    """Numbers that make sense, for a value or for all items of a list."""

    low: float
    high: float = math.inf
    whole: bool = False
    above: bool = False  # low itself is out
    below: bool = False  # high itself is out
    infinite: bool = False  # is a value as well
    pair: bool = False  # lists are [low, high]
    either: bool = False  # a number where the default is a list, or back
    word: str = ""  # a value as well: "auto"

    def holds(self, number):
        """Whether a value is a number within.

        Example
        -------
        >>> share = Range(0, 1, above=True)
        >>> [share.holds(x) for x in (0, 0.5, 1, 2, "1", True, math.nan)]
        [False, True, True, False, False, False, False]
        """
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            return False
        if not math.isfinite(number):
            return self.infinite and number > 0
        if self.whole and not isinstance(number, int):
            return False
        return (
            (self.low < number if self.above else self.low <= number)
            and (number < self.high if self.below else number <= self.high)
        )  # fmt: skip

    def fits(self, value, default):
        """Whether a value, of the shape of the default, is within."""
        if self.word and value == self.word:
            return True
        is_list = isinstance(value, list)
        if not self.either and is_list != isinstance(default, list):
            return False
        if not is_list:
            return self.holds(value)
        items = list(flat(value))
        if self.pair and (len(items) != 2 or len(value) != 2):
            return False
        return (
            len(items) > 0
            and all(tag_of(x) or self.holds(x) for x in items)
            and (
                not self.pair
                or any(map(tag_of, items))
                or items == sorted(items)
            )
        )

    def words(self, default):
        """What a value must be.

        Example
        -------
        >>> Range(1, whole=True).words(4)
        'a whole number, at least 1'
        >>> Range(0, 1, below=True).words([0.5])
        'a list of numbers, at least 0 and below 1'
        """
        numbers = "whole numbers" if self.whole else "numbers"
        if self.pair:
            shape = f"[low, high], two {numbers}"
            shape += ", or a number" if self.either else ""
        elif isinstance(default, list):
            shape = f"a list of {numbers}"
        else:
            shape = f"a {numbers[:-1]}"
        limits = []
        if self.low > -math.inf:
            limits.append(f"{'above' if self.above else 'at least'} {self.low}")
        if self.high < math.inf:
            limits.append(f"{'below' if self.below else 'at most'} {self.high}")
        words = ", ".join([shape, " and ".join(limits)] if limits else [shape])
        return f"{words}, or {self.word}" if self.word else words


def flat(items):
    """Yields what nested lists hold.

    Example
    -------
    >>> list(flat([1, [2, [3]]]))
    [1, 2, 3]
    """
    for item in items:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


COUNT = Range(1, whole=True)
NUMBER = Range(0, whole=True)
POSITIVE = Range(0, above=True)
NOT_NEGATIVE = Range(0)
SHARE = Range(0, 1)
LESS_THAN_ONE = Range(0, 1, below=True)

TABLE = {
    COUNT: "image_size visual_channels visual_block_sizes visual_emb_dim "
    "batch_size valid_every num_global num_local positive_clusters "
    "num_prototypes num_restarts channels attention_channels emb_dim n_mels "
    "head_dims ordinary_epochs cluster_every open_epochs label_queue_length "
    "cohort_top grad_accumulation_factor",
    Range(1, whole=True, word="auto"): "num_clusters",
    NUMBER: "log_every number_of_epochs total_epochs fixed_label_epochs num_workers "
    "num_bootstraps probe_every proxy_utterances min_cluster_size",
    Range(0, 2**32 - 1, whole=True): "seed",
    Range(1000, whole=True): "sample_rate",  # Hz, not kHz
    POSITIVE: "lr fixed_lr temperature student_temp sharpening_temp scale "
    "win_length hop_length batch_seconds proxy_seconds rir_seconds "
    "max_grad_norm tempo_rates",
    NOT_NEGATIVE: "lr_final fixed_lr_final warmup_epochs fixed_warmup_epochs "
    "freeze_prototypes_epochs weight_decay margin consistency_weight "
    "min_seconds",
    Range(0, infinite=True): "plateau_patience",
    SHARE: "augment_prob global_augment_prob pitch_prob tempo_prob ema_start "
    "ema_end center_momentum confidence_threshold",
    LESS_THAN_ONE: "dropout drop_fraction max_padding",
    Range(0, 1, above=True): "label_fraction train_share",
    Range(-math.inf): "pitch_cents",
    Range(-math.inf, pair=True): "snr",  # dB
    Range(0, above=True, pair=True, either=True): "crop_seconds global_seconds "
    "local_seconds student_seconds teacher_seconds",
}
RANGES = {key: rule for rule, keys in TABLE.items() for key in keys.split()}
