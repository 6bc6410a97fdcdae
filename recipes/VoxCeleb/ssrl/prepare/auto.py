"""Prepares a corpus: tables of utterances, trial lists and audio banks.

The layout of the folder is found out. Running it again does nothing unless
an option or a file has changed.
"""

import argparse
import functools
import hashlib
import logging
import os
import pathlib
import sys
from collections import Counter

from speechbrain.utils.logger import get_logger

from prepare import folder, voxceleb
from ssrl_brain.data import bank, preparation

logger = get_logger(__name__)

FORMAT_VERSION = 1
LAYOUTS = {"voxceleb": voxceleb, "folder": folder}
HEADER = ["ID", "wav", "duration", "num_frames", "sample_rate", "session"]
KIND_OF_FOLDER = {"noise": "ambient", "music": "music", "speech": "speech"}
USED_ROOMS = {"smallroom", "mediumroom"}  # SSRL IV-B: no large rooms


def prepare(
    data_folder,
    prepared_folder,
    trial_lists=(),
    noise_folder=None,
    rir_folder=None,
    layout="auto",
    min_seconds=1.0,
    silence_level=1e-4,
    sample_rate=16000,
    num_workers=None,
):
    """Makes the prepared folder, unless it is there and still right.

    Arguments
    ---------
    data_folder : str
        Folder of audio; it is only read.
    prepared_folder : str
        What to make; it appears whole or not at all.
    trial_lists : list of str or str, optional
        Files of "label enrol test" lines, in a list or separated by commas,
        sought in the working directory, then in ``data_folder``. Their
        speakers (where unknown: their utterances) are kept out of training.
    noise_folder : str, optional
        MUSAN, or any folder of noise.
    rir_folder : str, optional
        RIRS_NOISES, or any folder of room impulse responses.
    layout : str
        "voxceleb", "folder", or "auto" to find out.
    min_seconds : float
        Shorter files are left out.
    silence_level : float
        Files that never leave this level are left out (full scale is 1).
    sample_rate : int
        Rate of the banks in Hz.
    num_workers : int, optional
        Number of processes; default: all processors.

    Raises
    ------
    FileNotFoundError
        If a folder or a trial list does not exist.
    ValueError
        If nothing is usable, a trial names a file that is not, or the
        prepared folder lies inside a folder of audio.
    """
    for source in (data_folder, noise_folder, rir_folder):
        refuse_inside(prepared_folder, source)
    listing = preparation.list_audio(data_folder)
    layout = find_layout(layout, listing.files)
    trial_paths = find_trial_lists(trial_lists, data_folder)
    noise = list_bank(noise_folder, "noise_folder")
    rirs = list_bank(rir_folder, "rir_folder", choose_rirs)
    made_from = {
        "version": FORMAT_VERSION,
        "data_folder": os.path.realpath(data_folder),
        "data": preparation.fingerprint(listing),
        "layout": layout,
        "min_seconds": float(min_seconds),
        "silence_level": float(silence_level),
        "sample_rate": int(sample_rate),
        "trial_lists": {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in trial_paths.items()
        },
        "noise": noise and preparation.fingerprint(noise),
        "rirs": rirs and preparation.fingerprint(rirs),
    }
    if preparation.is_current(prepared_folder, made_from):
        logger.info(f"{prepared_folder} is up to date")
        return

    logger.info(f"Preparing {data_folder}, layout: {layout}")
    check = functools.partial(
        check_entries,
        data_folder=data_folder,
        min_seconds=min_seconds,
        silence_level=silence_level,
        num_workers=num_workers,
    )
    with preparation.whole_or_absent(prepared_folder) as partial:
        counts = write_corpus(
            partial,
            data_folder,
            listing,
            LAYOUTS[layout],
            trial_paths,
            check,
        )
        write_banks(
            partial,
            (noise_folder, noise),
            (rir_folder, rirs),
            sample_rate,
            num_workers,
        )
        preparation.write_summary(partial, made_from, counts)
    logger.info(describe(counts))


def refuse_inside(prepared_folder, source):
    """Raises ValueError if we would write where the audio is."""
    if source and pathlib.Path(
        os.path.realpath(prepared_folder)
    ).is_relative_to(os.path.realpath(source)):
        raise ValueError(
            f"prepared_folder {prepared_folder} lies inside {source}, which is"
            " never written to: choose a folder elsewhere"
        )


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


def find_layout(name, paths):
    """Name of the layout; "auto" takes the one that most files belong to.

    Example
    -------
    >>> find_layout("auto", ["id1/a/1.wav", "wav/id2/b/1.wav", "noise.wav"])
    'voxceleb'
    """
    if name == "auto":
        fits = len(voxceleb.entries(paths))
        return "voxceleb" if 2 * fits > len(paths) else "folder"
    if name not in LAYOUTS:
        raise ValueError(
            f"layout {name!r} is unknown: choose auto, {', '.join(LAYOUTS)}"
        )
    return name


def check_entries(
    entries, data_folder, min_seconds, silence_level, num_workers
):
    """AudioCheck of every entry, see ``prepare`` for the arguments."""
    check = functools.partial(
        preparation.check_audio,
        min_seconds=min_seconds,
        silence_level=silence_level,
    )
    paths = [os.path.join(data_folder, entry.path) for entry in entries]
    found = preparation.parallel_map(
        check, paths, num_workers, "Checking audio"
    )
    return dict(zip(entries, found, strict=True))


def write_corpus(target, data_folder, listing, layout, trial_paths, check):
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

    Returns
    -------
    dict
        What was found, by kind.
    """
    entries, excluded = select_entries(listing, layout)
    trials = match_trials(trial_paths, entries, excluded, layout)
    named = {id for trial in all_lines(trials) for id in trial[-2:]}
    wanted = leave_out_test_speakers(entries, named)
    checks = check(wanted)
    bad = {e: found.reason for e, found in checks.items() if found.reason}
    refuse_bad_trials(trial_paths, trials, {e.id: bad[e] for e in bad})
    excluded += [(entry.path, reason) for entry, reason in bad.items()]
    left_out = Counter(reason.split(":")[0] for _, reason in excluded)
    good = sorted((e for e in wanted if e not in bad), key=lambda e: e.id)
    if not good:
        raise ValueError(nothing_usable(data_folder, listing, left_out))

    train = [entry for entry in good if entry.id not in named]
    test = [entry for entry in good if entry.id in named]
    if not train:
        logger.warning("Nothing to train on: trials name every speaker")
    write_utterances(target, train, test if trials else None, checks)
    write_trials(target / "trials", trials)
    preparation.write_table(
        target / "excluded.csv",
        ["path", "reason"],
        sorted((preparation.printable(p), reason) for p, reason in excluded),
    )
    return {
        "train": len(train),
        "train hours": sum(seconds(checks[e]) for e in train) / 3600,
        "train sessions": len({entry.session for entry in train}),
        "test": len(test),
        "test speaker": len(entries) - len(wanted),
        "left out": dict(left_out.most_common()),
        "trials": {name: len(lines) for name, lines in trials.items()},
        "duplicate trials": {
            name: len(lines) - len({line[1:] for line in lines})
            for name, lines in trials.items()
        },
    }


def select_entries(listing, layout):
    """Entries with an ID of their own; (path, reason) of all other files."""
    excluded = list(listing.excluded)
    entries = {}
    belongs = set()
    for entry in layout.entries(listing.files):
        belongs.add(entry.path)
        if entry.id in entries:
            excluded.append((entry.path, "duplicate ID"))
        else:
            entries[entry.id] = entry
    excluded += [
        (path, layout.MISMATCH) for path in listing.files if path not in belongs
    ]
    excluded += [  # what was converted already is not worth a word
        (path, f"{path.rsplit('.', 1)[1]} cannot be read: convert it")
        for path in listing.unreadable
        if layout.utterance_id(path) not in entries
    ]
    return list(entries.values()), excluded


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
        for number, label, *pair in preparation.iterate_trials(path):
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


def nothing_usable(data_folder, listing, left_out):
    """Message for a folder without a single utterance."""
    if listing.unreadable and not listing.files:
        return (
            f"{data_folder} holds {len(listing.unreadable):,} files like"
            f" {listing.unreadable[0]} and nothing that can be read: convert"
            " them to wav with ffmpeg, see docs/data.md"
        )
    if not left_out:
        return f"{data_folder} holds no audio"
    return f"{data_folder} holds no usable audio: {reasons_text(left_out)}"


def reasons_text(left_out):
    """Counts by reason, e.g. "5 too short, 4 silent"."""
    return ", ".join(f"{count:,} {why}" for why, count in left_out.items())


def seconds(check):
    """Duration of a checked file."""
    return check.num_frames / check.sample_rate


def write_utterances(target, train, test, checks):
    """Writes train.csv, test.csv and speakers.csv.

    True speakers are in the last of them only: training never reads it.
    """
    numbers = {}
    for name, entries in [("train", train), ("test", test)]:
        if entries is None:
            continue
        rows = []
        for entry in entries:
            check = checks[entry]
            rows.append(
                [
                    entry.id,
                    entry.path,
                    f"{seconds(check):.6f}",
                    check.num_frames,
                    check.sample_rate,
                    numbers.setdefault(entry.session, len(numbers)),
                ]
            )
        preparation.write_table(target / f"{name}.csv", HEADER, rows)
    speakers = sorted(
        (e.id, e.speaker) for e in train + (test or []) if e.speaker
    )
    if speakers:
        preparation.write_table(
            target / "speakers.csv", ["ID", "speaker"], speakers
        )


def write_trials(target, trials):
    """Writes every list as "label enrol_ID test_ID" lines."""
    for name, lines in trials.items():
        target.mkdir(exist_ok=True)
        with open(target / f"{name}.txt", "w", encoding="utf-8") as file:
            for _, label, enrol, test in lines:
                file.write(f"{label} {enrol} {test}\n")


def list_bank(source, key, choose=list):
    """Audio of a folder of noise or room responses; None if none is given."""
    if not source:
        return None
    listing = preparation.list_audio(source, key)
    chosen = choose(listing.files)
    if not chosen:
        raise ValueError(f"{key} {source} holds no audio that can be used")
    return listing._replace(
        files={path: listing.files[path] for path in chosen}
    )


def noise_kind(path):
    """Kind of a clip by its folder in MUSAN; elsewhere all is ambient.

    Example
    -------
    >>> noise_kind("musan/noise/free-sound/1.wav"), noise_kind("bus.wav")
    ('ambient', 'ambient')
    >>> noise_kind("speech/librivox/1.wav")
    'speech'
    """
    folders = path.split("/")[:-1]
    kinds = [KIND_OF_FOLDER[f] for f in folders if f in KIND_OF_FOLDER]
    return kinds[0] if kinds else "ambient"


def choose_rirs(paths):
    """Small and medium rooms of RIRS_NOISES; of other folders, everything.

    Example
    -------
    >>> choose_rirs(["smallroom/R1/1.wav", "largeroom/R1/1.wav", "x/1.wav"])
    ['smallroom/R1/1.wav']
    >>> choose_rirs(["a.wav", "b.wav"])
    ['a.wav', 'b.wav']
    """
    rooms = [path for path in paths if USED_ROOMS & set(path.split("/"))]
    return rooms or [p for p in paths if "largeroom" not in p.split("/")]


def write_banks(target, noise, rirs, sample_rate, num_workers):
    """Writes the banks of the folders that were given.

    Arguments
    ---------
    target : pathlib.Path
        The prepared folder.
    noise, rirs : tuple
        Folder and its Listing (None if not given).
    sample_rate, num_workers
        See ``prepare``.
    """
    common = {"sample_rate": sample_rate, "num_workers": num_workers}
    for name, (source, listing), kind_of, mix in [
        ("noise", noise, noise_kind, bank.average_channels),
        ("rirs", rirs, lambda path: "rir", bank.impulse_response),
    ]:
        if listing is None:
            continue
        bank.write_bank(
            target / name,
            [os.path.join(source, path) for path in listing.files],
            [kind_of(path) for path in listing.files],
            description=f"Decoding {name}",
            root=source,
            mix=mix,
            **common,
        )


def describe(counts):
    """One line about a prepared corpus.

    Example
    -------
    >>> counts = {"train": 2540, "train hours": 2.51, "train sessions": 1020}
    >>> describe(counts | {"test": 0, "left out": {"silent": 4}})
    '2,540 utterances, 2.5 h, 1,020 sessions; left out 4: 4 silent (listed in excluded.csv)'
    """
    text = (
        f"{counts['train']:,} utterances, {counts['train hours']:.1f} h,"
        f" {counts['train sessions']:,} sessions"
    )
    if counts["test"]:
        text += f"; {counts['test']:,} test utterances"
    if left_out := counts["left out"]:
        text += (
            f"; left out {sum(left_out.values()):,}: {reasons_text(left_out)}"
            " (listed in excluded.csv)"
        )
    return text


def command_line(layout, description):
    """Runs ``prepare`` with arguments from the command line."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--prepared_folder", required=True)
    parser.add_argument("--trial_lists", default="", help="a.txt,b.txt")
    parser.add_argument("--noise_folder", help="MUSAN or any noise")
    parser.add_argument("--rir_folder", help="RIRS_NOISES or any rooms")
    parser.add_argument("--min_seconds", type=float, default=1.0)
    parser.add_argument("--silence_level", type=float, default=1e-4)
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--num_workers", type=int)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        prepare(layout=layout, **vars(parser.parse_args()))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
