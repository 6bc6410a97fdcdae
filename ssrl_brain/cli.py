"""The console command ``ssrl-brain``: the scripts of the recipe by one name.

    ssrl-brain train hparams/dino.yaml --data_folder=/data/voxceleb
    ssrl-brain chains

It runs in any folder: stage YAMLs and chains that are not there are those of
the package.
"""

import ast
import importlib
import sys
from pathlib import Path

VERBS = {
    "train": "commands.train",
    "label": "commands.label",
    "verify": "commands.verify",
    "pipeline": "chains.pipeline",
    "report": "commands.report",
    "publish": "commands.publish",
    "convert": "commands.convert",
    "shard": "commands.shard",
    "chains": "chains.listing",
}


def main(arguments):
    """Calls the ``main`` of a verb.

    Arguments
    ---------
    arguments : list of str
        The verb, then what belongs to it.

    Raises
    ------
    ValueError
        If there is no such verb.

    Example
    -------
    >>> main(["tarin"])
    Traceback (most recent call last):
    ValueError: 'tarin' is none of train, label, verify, pipeline, ...
    """
    verb, *rest = arguments or ["--help"]
    if verb in ("-h", "--help"):
        print(usage())
        return None
    if verb not in VERBS:
        raise ValueError(
            f"{verb!r} is none of {', '.join(VERBS)}: see ssrl-brain --help"
        )
    module = importlib.import_module(f"ssrl_brain.{VERBS[verb]}")
    return module.main(rest)


def usage():
    """What ``ssrl-brain --help`` prints: every verb with a line."""
    lines = ["usage: ssrl-brain VERB ...   (ssrl-brain VERB --help)", ""]
    for verb, module in VERBS.items():
        path = Path(__file__).parent / f"{module.replace('.', '/')}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))  # quicker than torch
        lines.append(f"  {verb:10}{ast.get_docstring(tree).splitlines()[0]}")
    return "\n".join(lines)


def console():
    """Entry point of the installed command."""
    if sys.argv[1:2] in ([], ["-h"], ["--help"]):
        print(usage())
        return
    from ssrl_brain.system.process import run

    run(main)
