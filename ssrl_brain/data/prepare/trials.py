"""Matching trial lists to the utterances of a corpus."""

import pathlib

from speechbrain.utils.logger import get_logger

from ssrl_brain.data.trials import iterate_trials, lacking

logger = get_logger(__name__)


def find_trial_lists(trial_lists, data_folder):
    """Paths of the trial lists by the names they will have."""
    if isinstance(trial_lists, str):
        trial_lists = trial_lists.split(",")
    found = {}
    for name in filter(None, (str(t).strip() for t in trial_lists or ())):
        candidates = [pathlib.Path(name), pathlib.Path(data_folder, name)]
        paths = [path for path in candidates if path.is_file()]
        if not paths:
            raise FileNotFoundError(
                f"trial list {name} exists neither here nor in {data_folder}"
            )
        stem = paths[0].stem
        if stem in found:
            raise ValueError(
                f"trial lists {found[stem]} and {paths[0]} have the same"
                " name: rename one of them"
            )
        found[stem] = paths[0]
    return found


def match_trials(trial_paths, entries, excluded, layout):
    """Reads trial lists as (line number, label, enrol ID, test ID).

    Returns
    -------
    trials : dict
        Lists of such trials by name. A name that is no entry stays as it is.
    reasons : dict
        Why such a name cannot be used.
    """
    ids = {entry.id for entry in entries}
    known = dict(excluded)
    known |= {layout.utterance_id(path): why for path, why in excluded}
    trials, reasons = {}, {}
    for list_name, path in trial_paths.items():
        lines = trials[list_name] = []
        for number, label, *pair in iterate_trials(path):
            for position, name in enumerate(pair):
                id = name if name in ids else layout.utterance_id(name)
                if id in ids:
                    pair[position] = id
                else:
                    reasons[name] = known.get(name) or known.get(
                        id, "no such audio file"
                    )
            lines.append((number, label, *pair))
        if not lines:
            raise ValueError(f"trial list {path} has no trials")
    return trials, reasons


def all_lines(trials):
    """Every trial of every list."""
    return (line for lines in trials.values() for line in lines)


def split_missing(trials, reasons):
    """Parts trials that can be scored from those that cannot.

    Arguments
    ---------
    trials : dict
        Lists of (line number, label, enrol, test) by name.
    reasons : dict
        Why an utterance cannot be used, by ID or name.

    Returns
    -------
    usable : dict
        As ``trials``.
    missing : list
        (list, line number, utterance, reason), one or two for each trial
        that is left out.

    Example
    -------
    >>> trials = {"x": [(1, 1, "a", "b"), (2, 0, "a", "c")]}
    >>> split_missing(trials, {"c": "silent"})
    ({'x': [(1, 1, 'a', 'b')]}, [('x', 2, 'c', 'silent')])
    """
    usable = {name: [] for name in trials}
    missing = []
    for name, lines in trials.items():
        for line in lines:
            bad = [id for id in dict.fromkeys(line[2:]) if id in reasons]
            missing += [(name, line[0], id, reasons[id]) for id in bad]
            if not bad:
                usable[name].append(line)
    return usable, missing


def refuse_missing(trial_paths, missing):
    """Raises ValueError if trials name utterances that cannot be used."""
    if not missing:
        return
    name, number, utterance, reason = missing[0]
    num_trials = len({row[:2] for row in missing})
    num_names = len({row[2] for row in missing})
    raise ValueError(
        f"{trial_paths[name]}, line {number}: {utterance} cannot be used: "
        f"{reason}; {num_trials:,} trial(s) name {num_names:,} such "
        "utterance(s): mend the list or the audio, or leave these trials out "
        "with --skip_missing_trials=True"
    )


def refuse_empty(trial_paths, usable):
    """Raises ValueError if nothing is left of a list."""
    for name, lines in usable.items():
        if not lines:
            raise ValueError(
                f"{trial_paths[name]}: every trial names an utterance that "
                "cannot be used: check --data_folder"
            )


def warn_lacking(trial_paths, usable):
    """Warns of lists that no error rate can come of, by their paths."""
    for name, lines in usable.items():
        if found := lacking([line[1] for line in lines]):
            logger.warning(
                f"{trial_paths[name]} has no {found}, so that no error rate "
                "can come of it: its first column must be 1 for the same "
                "speaker and 0 for different ones"
            )


def trials_of_one_session(trials, session_of):
    """How many trials of one speaker are of a single session, by list.

    Arguments
    ---------
    trials : dict
        Lists of (line number, label, enrol, test) by name.
    session_of : dict
        Session of every utterance, by ID.

    Returns
    -------
    dict
        {name of the list: (of one session, of one speaker)}

    Example
    -------
    >>> trials = {"x": [(1, 1, "a", "b"), (2, 1, "a", "c"), (3, 0, "a", "d")]}
    >>> trials_of_one_session(trials, {"a": 0, "b": 0, "c": 1, "d": 2})
    {'x': (1, 2)}
    """
    found = {}
    for name, lines in trials.items():
        pairs = [pair for _, label, *pair in lines if label == 1]
        one = sum(session_of[a] == session_of[b] for a, b in pairs)
        found[name] = one, len(pairs)
    return found


def warn_one_session(trial_paths, found):
    """Warns of lists whose speakers could be told by their recordings."""
    for name, (one, positive) in found.items():
        if one > positive / 2:
            logger.warning(
                f"{trial_paths[name]}: {one:,} of its {positive:,} trials of "
                "the same speaker are within one session, so that error rates "
                "tell of rooms and microphones as well as of voices"
            )


def leave_out_test_speakers(entries, named):
    """Entries that trials name, or whose speaker is in no trial."""
    tested = {entry.speaker for entry in entries if entry.id in named}
    tested.discard(None)
    return [e for e in entries if e.id in named or e.speaker not in tested]


def write_trials(target, trials):
    """Writes every list as "label enrol_ID test_ID" lines."""
    for name, lines in trials.items():
        target.mkdir(exist_ok=True)
        with open(target / f"{name}.txt", "w", encoding="utf-8") as file:
            for _, label, enrol, test in lines:
                file.write(f"{label} {enrol} {test}\n")
