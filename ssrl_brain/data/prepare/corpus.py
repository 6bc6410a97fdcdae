"""Tables of utterances: which files are used, for training or for tests."""

import functools
import itertools
import os
from collections import Counter

from speechbrain.utils.logger import get_logger

from ssrl_brain.data.audio_check import check_audio
from ssrl_brain.data.audio_files import (
    no_audio,
    printable,
    split_suffix,
    why_unreadable,
)
from ssrl_brain.data.audio_readers import FFMPEG_SUFFIXES, INSTALL_FFMPEG
from ssrl_brain.data.preparation import parallel_map, write_table
from ssrl_brain.data.prepare.trials import (
    all_lines,
    leave_out_test_speakers,
    match_trials,
    refuse_empty,
    refuse_missing,
    split_missing,
    trials_of_one_session,
    warn_lacking,
    warn_one_session,
    write_trials,
)
from ssrl_brain.data.utterances import COLUMNS

logger = get_logger(__name__)


def check_entries(
    entries, data_folder, listing, min_seconds, silence_level, num_workers
):
    """AudioCheck of every entry, see ``prepare`` for the arguments."""
    check = functools.partial(
        check_below,
        data_folder,
        min_seconds=min_seconds,
        silence_level=silence_level,
    )
    places = [listing.place(entry.path) for entry in entries]
    found = parallel_map(check, places, num_workers, "Checking audio")
    return dict(zip(entries, found, strict=True))


def check_below(folder, place, **how):
    """``check_audio`` of a place in a folder."""
    return check_audio(os.path.join(folder, place), **how)


def write_corpus(
    target,
    data_folder,
    listing,
    layout,
    trial_paths,
    check,
    skip_missing_trials=False,
    faces=None,
):
    """Writes tables and trial lists.

    Arguments
    ---------
    target : pathlib.Path
        Folder to write to.
    data_folder : str
        Folder of audio, for messages.
    listing : Listing
        Its audio files.
    layout : module
        ``voxceleb`` or ``folder``.
    trial_paths : dict
        Trial lists by name.
    check : callable
        List of Entry -> {Entry: AudioCheck}.
    skip_missing_trials : bool
        Whether trials of audio that cannot be used are left out and listed in
        ``missing_trials.csv``; otherwise they are an error.
    faces : CorpusFrames, optional
        Frames that training utterances must have.

    Returns
    -------
    dict
        What was found, by kind.
    """
    entries, excluded = select_entries(listing, layout)
    trials, reasons = match_trials(trial_paths, entries, excluded, layout)
    if not skip_missing_trials:  # told before all audio is checked
        refuse_missing(trial_paths, split_missing(trials, reasons)[1])
    named = {id for trial in all_lines(trials) for id in trial[-2:]}
    wanted = leave_out_test_speakers(entries, named)
    checks = check(wanted)
    bad = {e: found.reason for e, found in checks.items() if found.reason}
    reasons |= {entry.id: reason for entry, reason in bad.items()}
    usable, missing = split_missing(trials, reasons)
    if not skip_missing_trials:
        refuse_missing(trial_paths, missing)
    refuse_empty(trial_paths, usable)
    warn_lacking(trial_paths, usable)
    one_session = trials_of_one_session(
        usable, {e.id: e.session for e in wanted if e.id in named}
    )
    warn_one_session(trial_paths, one_session)
    excluded += [(entry.path, reason) for entry, reason in bad.items()]
    left_out = Counter(reason.split(":")[0] for _, reason in excluded)
    good = sorted((e for e in wanted if e not in bad), key=lambda e: e.id)
    if not good:
        raise ValueError(nothing_usable(data_folder, listing, left_out))

    train = [entry for entry in good if entry.id not in named]
    test = [entry for entry in good if entry.id in named]
    found = {}
    if faces is not None:
        train, without, found["frames"] = faces.write(target, train, layout)
        excluded += without
        left_out.update(reason.split(":")[0] for _, reason in without)
    if not train:
        logger.warning("Nothing to train on: trials name every speaker")
    write_utterances(
        target, train, test if trials else None, checks, listing.place
    )
    write_trials(target / "trials", usable)
    write_missing(target / "missing_trials.csv", missing)
    write_table(
        target / "excluded.csv",
        ["path", "reason"],
        sorted((printable(p), reason) for p, reason in excluded),
    )
    return {
        "train": len(train),
        "train hours": sum(seconds(checks[e]) for e in train) / 3600,
        "train sessions": len({entry.session for entry in train}),
        **found,
        "test": len(test),
        "test speaker": len(entries) - len(wanted),
        "left out": dict(left_out.most_common()),
        "trials": {name: len(lines) for name, lines in usable.items()},
        "missing trials": {
            name: len(lines) - len(usable[name])
            for name, lines in trials.items()
        },
        "duplicate trials": {
            name: len(lines) - len({line[1:] for line in lines})
            for name, lines in usable.items()
        },
        "trials of one session": {
            name: one for name, (one, _) in one_session.items()
        },
    }


def write_missing(path, missing):
    """Lists what ``split_missing`` found; no file where there is nothing."""
    if missing:
        logger.warning(
            f"{len({row[:2] for row in missing}):,} trials are left out: they "
            f"name utterances that cannot be used, the first {missing[0][2]} "
            f"({missing[0][3]}); all are in {path.name}"
        )
        write_table(path, ["list", "line", "utterance", "reason"], missing)


def select_entries(listing, layout):
    """Entries with an ID of their own; (path, reason) of all other files.

    An m4a, mp4 or the like is not worth a word where what was converted from
    it is there as well.
    """
    excluded = list(listing.excluded)
    converted = ids_converted(listing, layout)

    def is_converted(path):
        return is_compressed(path) and layout.utterance_id(path) in converted

    paths = [path for path in listing.files if not is_converted(path)]
    found = layout.entries(paths)
    entries = {}
    for entry in found:
        if entries.setdefault(entry.id, entry) is not entry:
            excluded.append((entry.path, "duplicate ID"))
    if len(found) < len(paths):
        belongs = {entry.path for entry in found}
        excluded += [
            (path, layout.MISMATCH) for path in paths if path not in belongs
        ]
    excluded += [
        (path, why_unreadable(path))
        for path in listing.unreadable
        if not is_converted(path)
    ]
    return list(entries.values()), excluded


def is_compressed(path):
    """Whether a file is of the formats that only the extra reads."""
    return split_suffix(path)[1] in FFMPEG_SUFFIXES


def ids_converted(listing, layout):
    """IDs of such files that are there in another format as well.

    Sets of all IDs would be a gigabyte for ten million files, most often for
    nothing.
    """
    compressed = {
        layout.utterance_id(path)
        for path in itertools.chain(listing.files, listing.unreadable)
        if is_compressed(path)
    }
    if not compressed:
        return compressed
    return compressed.intersection(
        layout.utterance_id(path)
        for path in listing.files
        if not is_compressed(path)
    )


def write_utterances(target, train, test, checks, place):
    """Writes train.csv, test.csv and speakers.csv.

    ``place`` tells where a path is read, see ``Listing``.

    True speakers are in the last of them only: training never reads it.
    """
    numbers = {}
    for name, entries in [("train", train), ("test", test)]:
        if entries is None:
            continue
        rows = (
            (
                entry.id,
                place(entry.path),
                f"{seconds(checks[entry]):.6f}",
                checks[entry].num_frames,
                checks[entry].sample_rate,
                numbers.setdefault(entry.session, len(numbers)),
            )
            for entry in entries
        )
        write_table(target / f"{name}.csv", COLUMNS, rows)
    known = [entry for entry in train + (test or []) if entry.speaker]
    if known:
        known.sort(key=lambda entry: entry.id)
        speakers = ((entry.id, entry.speaker) for entry in known)
        write_table(target / "speakers.csv", ["ID", "speaker"], speakers)


def seconds(check):
    """Duration of a checked file."""
    return check.num_frames / check.sample_rate


def nothing_usable(data_folder, listing, left_out):
    """Message for a folder without a single utterance."""
    if listing.unreadable and not listing.files:
        return (
            f"{data_folder} holds {len(listing.unreadable):,} files like"
            f" {listing.unreadable[0]} and nothing that can be read:"
            f" {INSTALL_FFMPEG}, or convert them to wav or flac, see"
            " docs/data.md, 'Formats'"
        )
    if not left_out:
        return no_audio(data_folder)
    return f"{data_folder} holds no usable audio: {reasons_text(left_out)}"


def reasons_text(left_out):
    """Counts by reason, e.g. "5 too short, 4 silent"."""
    return ", ".join(f"{count:,} {why}" for why, count in left_out.items())
