"""Matching trial lists to the utterances of a corpus."""

import pathlib

from ssrl_brain.data.trials import iterate_trials


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

    Raises
    ------
    ValueError
        If a trial names a file that is not an entry.
    """
    ids = {entry.id: entry.id for entry in entries}
    ids |= {entry.path: entry.id for entry in entries}
    reasons = dict(excluded)
    reasons |= {layout.utterance_id(path): why for path, why in excluded}
    trials = {}
    for list_name, path in trial_paths.items():
        lines = trials[list_name] = []
        for number, label, *pair in iterate_trials(path):
            for position, name in enumerate(pair):
                id = ids.get(name) or ids.get(layout.utterance_id(name))
                if id is None:
                    why = reasons.get(name) or reasons.get(
                        layout.utterance_id(name), "no such audio file"
                    )
                    raise ValueError(
                        f"{path}, line {number}: {name} cannot be used: {why}"
                    )
                pair[position] = id
            lines.append((number, label, *pair))
        if not lines:
            raise ValueError(f"trial list {path} has no trials")
    return trials


def all_lines(trials):
    """Every trial of every list."""
    return (line for lines in trials.values() for line in lines)


def refuse_bad_trials(trial_paths, trials, reasons):
    """Raises ValueError at the first trial with a file that was left out."""
    for list_name, lines in trials.items():
        for number, _, *pair in lines:
            for id in pair:
                if id in reasons:
                    raise ValueError(
                        f"{trial_paths[list_name]}, line {number}: {id}"
                        f" cannot be used: {reasons[id]}"
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
