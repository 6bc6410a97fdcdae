"""Trials of a corpus drawn at random."""

import itertools


def draw_trials(rng, files, sex, num_trials):
    """Draws distinct trials, whatever their order, half of them positive.

    Positives cross sessions; every other negative pairs speakers of one sex.

    Arguments
    ---------
    rng : numpy.random.Generator
        Source of the draw.
    files : list of str
        Utterances as speaker/session/file.
    sex : dict
        From speaker to sex.
    num_trials : int
        At most this many.

    Returns
    -------
    list of str
        "label enrol test".

    Example
    -------
    >>> import numpy as np
    >>> files = ["a/1/x", "a/1/y", "a/2/x", "b/1/x"]
    >>> rng = np.random.default_rng(0)
    >>> draw_trials(rng, files, {"a": "f", "b": "f"}, 2)
    ['1 a/1/x a/2/x', '0 a/2/x b/1/x']
    """
    positives, same_sex, other_sex = [], [], []
    for enrol, test in itertools.combinations(files, 2):
        (one, first, _), (two, second, _) = enrol.split("/"), test.split("/")
        if one != two:
            negatives = same_sex if sex[one] == sex[two] else other_sex
            negatives.append(f"0 {enrol} {test}")
        elif first != second:
            positives.append(f"1 {enrol} {test}")
    rng.shuffle(positives)
    rng.shuffle(same_sex)
    count = min(num_trials // 2, len(positives), len(same_sex + other_sex))
    half = min((count + 1) // 2, len(same_sex))
    anyone = same_sex[half:] + other_sex
    rng.shuffle(anyone)
    trials = positives[:count] + same_sex[:half] + anyone[: count - half]
    rng.shuffle(trials)
    return trials
