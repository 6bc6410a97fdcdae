"""Lists the chains that come with the package.

    ssrl-brain chains

Each is run by `ssrl-brain pipeline chains/<name>.yaml ...`; the head of its
file says what it needs.
"""

from pathlib import Path

from ssrl_brain.commands.help import print_help
from ssrl_brain.commands.yaml_files import SHIPPED


def main(arguments):
    """Prints name and first sentence of every chain."""
    print_help(arguments, __doc__)
    print(listing())


def listing(folder=SHIPPED / "chains"):
    """Name and first sentence of every chain of a folder.

    Arguments
    ---------
    folder : Path

    Returns
    -------
    str

    Example
    -------
    >>> "chains/mini.yaml" in listing()
    True
    """
    rows = [
        (f"chains/{path.name}", first_sentence(path))
        for path in sorted(Path(folder).glob("*.yaml"))
    ]
    width = max(len(name) for name, _ in rows) + 2
    return "\n".join(f"{name:{width}}{text}" for name, text in rows)


def first_sentence(path):
    r"""What the comment at the head of a YAML begins with.

    Example
    -------
    >>> path = getfixture("tmp_path") / "x.yaml"
    >>> _ = path.write_text("# DINO, by\n# the book. More.\nname: x\n")
    >>> first_sentence(path)
    'DINO, by the book.'
    """
    words = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or line.strip() == "#":
            break
        words.append(line.strip("# "))
    text = " ".join(words)
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]
