"""Rooms of the package: imports go downwards only, and no circle is closed."""

import ast
import re
from pathlib import Path

import pytest
from conftest import ROOT

from ssrl_brain.cli import VERBS

PACKAGE = ROOT / "ssrl_brain"
# From top to bottom; rooms of one line do not know each other.
FLOORS = (
    "interface cli",
    "chains",
    "commands",
    "report",
    "brains",
    "handover",
    "evaluation",
    "training",
    "noisy_labels",
    "clustering losses networks",
    "data",
    "system",
)
FLOOR = {
    room: number
    for number, rooms in enumerate(FLOORS)
    for room in rooms.split()
}


def imports(path):
    """Modules of this package that a file imports, wherever it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (n for n in names if n.startswith("ssrl_brain."))


def module_of(name):
    """Path, relative to the package, of a module or of a name in one."""
    parts = name.split(".")[1:]
    while parts:
        path = PACKAGE.joinpath(*parts)
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py").relative_to(PACKAGE)
        if (path / "__init__.py").is_file():
            return (path / "__init__.py").relative_to(PACKAGE)
        parts.pop()
    return None  # the package itself


def graph():
    """Imported modules by module; the console command names its own."""
    edges = {
        path.relative_to(PACKAGE): {
            found for name in imports(path) if (found := module_of(name))
        }
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "__init__.py"
    }
    verbs = {module_of(f"ssrl_brain.{name}") for name in VERBS.values()}
    edges[Path("cli.py")] |= verbs
    # A stage YAML names its Brain, which ``train`` then calls.
    edges[Path("commands/train.py")] |= {
        path for path in edges if path.parts[0] == "brains"
    }
    return edges


def room(path):
    return path.parts[0].removesuffix(".py")


def test_every_room_has_a_floor_and_says_what_it_is_for():
    rooms = {room(path) for path in graph()}
    assert rooms <= set(FLOOR)
    entries = {path for path in PACKAGE.iterdir() if path.name[0] not in "_."}
    assert len(entries) <= 16
    for path in PACKAGE.rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text and "\n" in text or path.parent == PACKAGE, path


@pytest.mark.parametrize("path", graph(), ids=str)
def test_imports_go_downwards(path):
    for other in graph()[path]:
        if room(path) != room(other):
            assert FLOOR[room(path)] < FLOOR[room(other)], f"{path} -> {other}"


def test_no_module_comes_back_to_itself():
    edges, done = graph(), set()

    def visit(path, above):
        assert path not in above, " -> ".join(map(str, (*above, path)))
        if path not in done:
            for other in edges[path]:
                visit(other, (*above, path))
            done.add(path)

    for path in edges:
        visit(path, ())


def reduced():
    """(room, room) of imports between rooms that no longer way implies."""
    direct = {name: set() for name in FLOOR}
    for path, others in graph().items():
        direct[room(path)] |= {room(other) for other in others} - {room(path)}

    def below(name):
        return set().union(*(({x} | below(x)) for x in direct[name]))

    return {
        (above, other)
        for above, others in direct.items()
        for other in others
        if not any(other in below(x) for x in others - {other})
    }


def test_the_drawing_shows_the_imports():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^    (\w+) --> (\w+)$", text, re.M))
    expected = reduced()
    lines = "\n".join(f"    {a} --> {b}" for a, b in sorted(expected))
    assert drawn == expected, f"docs/architecture.md should draw\n{lines}"


def test_equations_are_in_the_files_that_the_page_names():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \| `(\S+\.py)` \| (.+) \|$", text, re.M)
    assert len(rows) >= 25
    for file, names in rows:
        source = (PACKAGE / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)", names):
            assert re.search(rf"(def|class) {name}\b", source), (file, name)
