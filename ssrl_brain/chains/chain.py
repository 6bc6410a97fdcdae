"""A chain's YAML, looked at as a whole before anything runs."""

from ssrl_brain.commands import command_line, keys

CHAIN = {
    "name",
    "inherit",
    "title",
    "steps",
    "corpus",
    "overrides",
    "base_overrides",
    "defaults",
    "options",
    "needs",
    "logged",
    "cluster",
    "encoder",
    "labels",
    "paper",
    "way",
}
STEP = {
    "name",
    "train",
    "encoder",
    "labels",
    "overrides",
    "options",
    "fixed",
    "paper",
    "needs_speakers",
}
SCRIPTS = ("hparams/pseudo_label.yaml", "hparams/verify.yaml")
NO_KEY = "is not a key of any stage"


def check_form(path, chain):
    """Refuses what is no chain, or no part of one.

    Arguments
    ---------
    path : str
    chain : dict
        As its file has it, without what it inherits.

    Raises
    ------
    ValueError
        In one line.
    """
    if not isinstance(chain, dict):
        raise ValueError(f"{path} must hold lines of `key: value`")
    check_part(path, chain, CHAIN, ())
    steps = chain.get("steps", [])
    if not isinstance(steps, list):
        raise ValueError(f"{path}: steps must be a list of steps")
    for number, step in enumerate(steps, start=1):
        where = f"{path}, step {number}"
        if not isinstance(step, dict):
            raise ValueError(f"{where} must hold lines of `key: value`")
        check_part(where, step, STEP, ("name",))
    names = [step["name"] for step in steps]
    twins = [name for name in names if names.count(name) > 1]
    if twins:
        raise ValueError(f"{path} has two steps of the name {twins[0]}")
    for number, step in enumerate(steps, start=1):
        check_part(f"{path}, step {number}", step, STEP, ("train",))


def check_whole(path, chain):
    """Refuses a chain that lacks something, with what it inherits."""
    check_part(path, chain, CHAIN, ("name", "steps"))
    if not chain["steps"]:
        raise ValueError(f"{path} lacks steps")
    check_sources(path, chain["steps"])
    names = [step["name"] for step in chain["steps"]]
    where = f"in way of {path}: no step"
    keys.refuse_unknown(chain.get("way", ()), names, where)


def check_part(where, part, known, needed):
    """Refuses keys that mean nothing here, and parts of the wrong kind.

    Example
    -------
    >>> check_part("x.yaml", {"name": "a", "stpes": 1}, CHAIN, ["name"])
    Traceback (most recent call last):
    ...
    ValueError: x.yaml: stpes is not a key of a chain (did you mean steps?)
    """
    try:
        keys.refuse_unknown(part, known, "is not a key of a chain")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    for key in needed:
        if key not in part:
            raise ValueError(f"{where} lacks {key}")
    for key, kind, like in (
        ("defaults", dict, "{key: value}"),
        ("options", dict, "{key: value}"),
        ("fixed", dict, "{key: value}"),
        ("overrides", list, "[file.yaml]"),
        ("needs", list, "[key]"),
        ("logged", list, "[name]"),
        ("way", list, "[step, step]"),
    ):
        if not isinstance(part.get(key, kind()), kind):
            raise ValueError(f"{where}: {key} must be like {like}")


def check_sources(path, steps):
    """Refuses a step that starts from one that does not come before it."""
    earlier = []
    for step in steps:
        for kind in ("encoder", "labels"):
            source = str(step.get(kind) or "/")
            if "/" not in source:  # else a folder elsewhere
                where = f"of step {step['name']} ({kind}) is no earlier step"
                try:
                    keys.refuse_unknown([source], earlier, where)
                except ValueError as error:
                    raise ValueError(f"{path}: {error}") from None
        earlier.append(step["name"])


def check_keys(path, chain, options):
    """Wrong and missing keys of stages are told before anything runs.

    Arguments
    ---------
    path : str
        Of the chain.
    chain : dict
    options : dict
        Of the command line.

    Raises
    ------
    ValueError
    """
    scripts = frozenset().union(*map(keys.keys_of, SCRIPTS))
    stages = {step["train"] for step in chain["steps"]}
    own = {stage: keys.keys_of(stage) | scripts for stage in stages}
    known = frozenset().union(*own.values())
    also = known.union(command_line.RUN_OPTIONS)
    keys.refuse_unknown(options, also, NO_KEY, "--")
    for step in chain["steps"]:
        for part in ("options", "fixed"):
            where = f"in {part} of step {step['name']} in {path} is no key of "
            where += f"{step['train']}"
            keys.refuse_unknown(step.get(part, ()), own[step["train"]], where)
    for part in ("defaults", "options", "needs"):
        where = f"in {part} of {path} {NO_KEY}"
        keys.refuse_unknown(chain.get(part, ()), known, where)
    for step in [chain, *chain["steps"]]:
        for file in map(command_line.find, step.get("overrides", ())):
            keys.refuse_unknown(
                command_line.read_yaml(file),
                known | keys.shipped_keys(),
                f"in {file} {NO_KEY}",
            )
    missing = [key for key in chain.get("needs", ()) if key not in options]
    keys.refuse_missing(missing, "this chain")
