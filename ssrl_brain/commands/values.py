"""Which values a key may have: told in one line, before any work.

The type is that of the default; one table says which numbers make sense.
"""

import math
import os
import re
from typing import NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ssrl_brain.commands.yaml_files import tag_of

TEXT = ("_folder", "_csv", "_list", "_lists")  # how keys of text end
TAG = re.compile(r"!(ref|copy)\b|!(new|name|apply|applyref|include|module):")
OBJECT = ("!new:", "!name:", "!apply:", "!applyref:")


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


def is_text(key, default):
    """Whether values of a key are text, whatever they look like.

    Example
    -------
    >>> (
    ...     is_text("data_folder", None),
    ...     is_text("layout", "auto"),
    ...     is_text("lr", 1),
    ... )
    (True, True, False)
    """
    if isinstance(default, list) and not tag_of(default):
        return key.endswith("_lists")  # of files, separated by commas or not
    if isinstance(default, (bool, int, float)):
        return False
    return key.endswith(TEXT) or isinstance(default, str)


def as_typed(key, typed, default):
    """Value of an option of the command line.

    Text is what was typed, of which nothing is None; all else, and whatever
    begins with a tag, is YAML.

    Arguments
    ---------
    key, typed : str
    default
        Value of the key in the stage's YAML.

    Raises
    ------
    ValueError

    Example
    -------
    >>> as_typed("output_folder", "out #1: 1e3", None)
    'out #1: 1e3'
    >>> as_typed("lr", "1e-3", 0.1), as_typed("snr", "[0, 9]", [5, 20])
    (0.001, [0, 9])
    """
    if is_text(key, default) and not TAG.match(typed):
        return typed or None
    try:
        tree = YAML().load(f"{key}: {typed}")
    except YAMLError:
        tree = {}
    if list(tree) != [key]:
        raise ValueError(f"--{key}={typed} is not YAML: put it into quotes")
    return tree[key]


def expanded(key, value):
    """Text with ``~`` replaced by the user's folder, also within a list.

    Example
    -------
    >>> getfixture("monkeypatch").setenv("HOME", "/me")
    >>> expanded("data_folder", "~/a,~"), expanded("trial_lists", "~/a,~/b")
    ('/me/a,~', '/me/a,/me/b')
    """
    if isinstance(value, list):
        return [expanded(key, item) for item in value]
    if not isinstance(value, str):
        return value
    if key.endswith("_lists") and "~" in value:
        parts = (os.path.expanduser(x.strip()) for x in value.split(","))
        return ",".join(parts)
    return os.path.expanduser(value)


def check(stage, overrides):
    """Refuses values that cannot be meant, all of them at once.

    Arguments
    ---------
    stage : dict
        Tree of a stage's YAML, see ``read_yaml``.
    overrides : dict

    Raises
    ------
    ValueError
        Naming each key, its value, and what it must be.

    Example
    -------
    >>> check({"lr": 0.1, "snr": [0, 1]}, {"lr": 0, "snr": [5, 1]})
    Traceback (most recent call last):
    ...
    ValueError: lr=0 must be a number, above 0; snr=[5, 1] must be [low, high], two numbers
    """
    told = [
        f"{key}={value} must be {words}"
        for key, value in {**stage, **overrides}.items()
        if (words := must_be(key, value, stage.get(key)))
    ]
    if told:
        raise ValueError("; ".join(told))


def must_be(key, value, default):
    """What a value must be and is not, in words; None if all is well.

    Example
    -------
    >>> must_be("spread_crops", 3, True), must_be("own_key", 3, 0.5)
    ('True or False', None)
    """
    if tag_of(value):
        return None
    if is_text(key, default):
        items = value if key.endswith("_lists") else [value]
        items = items if isinstance(items, list) else [items]
        if value is None and (default is None or may_be_off(default)):
            return None
        fits = all(isinstance(item, str) for item in items)
        return None if fits else "text: put it into quotes"
    if key in RANGES:
        fits = RANGES[key].fits(value, default)
        return None if fits else RANGES[key].words(default)
    return must_be_like(value, default)


def may_be_off(default):
    """Whether a key can be given as nothing: an input, or another key's value.

    Example
    -------
    >>> from ruamel.yaml import YAML
    >>> defaults = YAML().load("[!PLACEHOLDER , !ref <a>, !ref <a>/b, a]")
    >>> [may_be_off(x) for x in defaults]
    [True, True, False, False]
    """
    if tag_of(default) == "!PLACEHOLDER":
        return True
    if tag_of(default) != "!ref":
        return False
    return re.fullmatch(r"<\w+>", str(default.value)) is not None


def must_be_like(value, default):
    """``must_be`` of a key of which only the default is known."""
    if (tag_of(default) or "").startswith(OBJECT):
        if value is None or isinstance(value, dict):
            return None
        return "an object: !new:..., or {option: value} of the one there is"
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "True or False"
    if value is None or tag_of(default):
        return None
    if isinstance(default, (int, float)):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if number else "a number"
    if isinstance(default, list):
        return None if isinstance(value, list) else "a list: [a, b]"
    if isinstance(default, dict):
        return None if isinstance(value, dict) else "{key: value}"
    return None
