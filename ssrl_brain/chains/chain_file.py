"""Chains as their YAML files have them, with what these inherit."""

from pathlib import Path

from ruamel.yaml import YAML

from ssrl_brain.chains.chain import check_form, check_whole
from ssrl_brain.commands.keys import keys_of
from ssrl_brain.commands.yaml_files import find


def read_chain(path):
    r"""A chain with the steps of those that it inherits.

    ``inherit: ssrl.yaml`` (or a list of files, beside it or shipped) puts the
    steps of that chain first. A step of a name that is there already takes its
    place; ``defaults`` (options that give way to further YAMLs), ``options``
    and ``paper`` are put together; other keys of the file
    itself win.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    dict
        With ``steps``, a list of dict, and no ``inherit``.

    Raises
    ------
    FileNotFoundError, ValueError

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> step = "name: c\nsteps: [{name: %s, train: a.yaml}]\n"
    >>> _ = (folder / "one.yaml").write_text("options: {a: 1}\n" + step % "x")
    >>> _ = (folder / "two.yaml").write_text(
    ...     "inherit: one.yaml\noptions: {b: 2}\n" + step % "y"
    ... )
    >>> chain = read_chain(folder / "two.yaml")
    >>> [step["name"] for step in chain["steps"]], chain["options"]
    (['x', 'y'], {'a': 1, 'b': 2})
    """
    chain = with_bases(path)
    check_whole(path, chain)
    return chain


def with_bases(path):
    """A chain, or a part of one, behind what it inherits."""
    own = YAML(typ="safe").load(Path(path)) or {}
    check_form(path, own)
    bases = own.pop("inherit", [])
    parts = [
        with_bases(find(base, Path(path).parent))
        for base in ([bases] if isinstance(bases, str) else bases)
    ]
    chain, steps = {}, {}
    for part in [*parts, own]:
        for key in ("defaults", "options", "paper"):
            if key in part:
                part[key] = {**chain.get(key, {}), **part[key]}
        steps |= {step["name"]: step for step in part.get("steps", [])}
        chain |= part
    return {**chain, "steps": list(steps.values())}


def source_of(step, chain, what):
    """Name of the step that another starts from, or None.

    Arguments
    ---------
    step, chain : dict
    what : str
        "encoder" or "labels". A chain that says it for all means the steps
        that come after the one it names and do not say it themselves.

    Returns
    -------
    str or None

    Example
    -------
    >>> a, b, c = {"name": "a"}, {"name": "b"}, {"name": "c", "labels": None}
    >>> chain = {"labels": "a", "steps": [a, b, c]}
    >>> [source_of(step, chain, "labels") for step in (a, b, c)]
    [None, 'a', None]
    """
    if what in step:
        return step[what]
    earlier = [other["name"] for other in chain["steps"]]
    earlier = earlier[: earlier.index(step["name"])]
    return chain[what] if chain.get(what) in earlier else None


def makes_labels(yaml):
    """Whether a stage leaves labels of its own, so that none are clustered."""
    return "exported_label_folder" in keys_of(yaml)


def exports_faces(yaml):
    """Whether a stage leaves an encoder of faces beside that of speech."""
    return "visual_export_folder" in keys_of(yaml)


def label_folder(source, chain, output):
    """Where the labels of a step lie, in the output folder of the chain."""
    yamls = {step["name"]: step["train"] for step in chain["steps"]}
    own = source in yamls and makes_labels(yamls[source])
    return Path(output) / source / ("labels" if own else "clusters")
