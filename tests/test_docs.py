"""Every command in the documentation: its files and its keys exist."""

import json
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import RECIPE, ROOT
from ruamel.yaml import YAML
from speechbrain.utils.run_opts import RunOptions

from ssrl_brain.cli import VERBS
from ssrl_brain.commands.command_line import read_yaml

PAGES = [
    ROOT / "README.md",
    RECIPE / "README.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(
    r"`((?:python|torchrun|make|ssrl-brain|OMP_NUM_THREADS)\s[^`]+)`"
)
RUN_OPTIONS = set(vars(RunOptions())) | {"help"}
TORCHRUN = {"standalone", "nproc_per_node", "nnodes"}
DEFAULT_YAML = {
    "pseudo_label.py": "hparams/pseudo_label.yaml",
    "verify.py": "hparams/verify.yaml",
}


def fences(text, *languages):
    """Contents of the code blocks in these languages."""
    return [body for kind, body in FENCE.findall(text) if kind in languages]


def commands(text):
    """Commands of the shell, each in one line, without comments."""
    lines = []
    for block in fences(text, "", "bash", "sh"):
        if not block.lstrip().startswith(("@", "--")):  # papers, options
            block = re.sub(r"\\\n\s*", "", block)
            lines += [line for line in block.splitlines() if line.strip()]
    lines += INLINE.findall(FENCE.sub("", text))
    return [
        shlex.split(" ".join(line.split()), comments=True) for line in lines
    ]


def options(words):
    """Keys of --key=value and of --flag."""
    return {
        word[2:].partition("=")[0] for word in words if word.startswith("--")
    }


def keys_of(script, yamls, own_files):
    """Keys that a script takes with these YAMLs."""
    if script.name == "pipeline.py":
        chain = YAML(typ="safe").load(RECIPE / yamls[0])
        files = [step["train"] for step in chain["steps"]]
        yamls = [*files, *DEFAULT_YAML.values()]
        keys = {"plan"}
    else:
        source = logic(script)
        keys = set(re.findall(r'"--([a-z_-]+)"', source))
        default = DEFAULT_YAML.get(script.name)
        yamls = yamls[:1] or ([default] if default else [])
        if not re.search(r"command_line\.parse\(|\bopened\(", source):
            return keys | {"help"}
    for name in yamls:
        if name in own_files:
            own = YAML().load(own_files[name])
            keys |= set(own) | set(read_yaml(RECIPE / own["inherit"]))
            continue
        keys |= set(read_yaml(RECIPE / name))
    return keys | RUN_OPTIONS


def logic(script):
    """Source of a script, and of the module whose ``main`` it runs."""
    source = script.read_text(encoding="utf-8")
    for name in re.findall(r"from (ssrl_brain[\w.]+) import main", source):
        path = ROOT / (name.replace(".", "/") + ".py")
        source += path.read_text(encoding="utf-8")
    return source


def script_in(words):
    """(path of the script, words before it, words after it)"""
    position = next(i for i, w in enumerate(words) if w.endswith(".py"))
    name = words[position]
    places = [RECIPE / name, ROOT / name]
    path = next((place for place in places if place.is_file()), None)
    assert path, f"{name} does not exist"
    return path, words[:position], words[position + 1 :]


def check(words, own_files, last):
    """Checks a command; returns what "..." in the next line stands for."""
    words = [w for w in words if not re.fullmatch(r"[A-Z_]+=\S+", w)]
    if words[0] in ("make", "cd", "pip", "find", "git"):
        check_other(words)
        return last
    if words[0] == "ssrl-brain":
        assert words[1] in VERBS, words[1]
        if words[1] == "chains" or words[2:] == ["--help"]:
            return last
        script = {"label": "pseudo_label"}.get(words[1], words[1])
        words = ["python", f"{script}.py", *words[2:]]
    if words[:2] == ["python", "-c"]:
        compile(words[2], "-c", "exec")
        return last
    if words[:2] == ["python", "-m"]:
        assert find_spec(words[2]), words[2]
        return last
    if words[0] == "...":
        words = [*last, *words[1:]]
    assert words[0] in ("python", "torchrun"), f"unknown: {' '.join(words)}"
    script, before, after = script_in(words)
    assert options(before) <= TORCHRUN
    yamls = [w for w in after if w.endswith(".yaml") and w[0] != "-"]
    for name in yamls:
        assert (RECIPE / name).is_file() or name in own_files, name
    unknown = options(after) - keys_of(script, yamls, own_files)
    assert not unknown, f"{script.name}: {unknown}"
    return [w for w in words if not w.startswith("--")]


def check_other(words):
    """Commands that are not ours, and those of the Makefile."""
    if words[0] == "make":
        makefile = (ROOT / "Makefile").read_text()
        assert re.search(f"^{words[1]}:", makefile, re.M), words[1]
    if words[0] == "cd":
        assert (ROOT / words[1]).is_dir(), words[1]
    if words[:2] == ["pip", "install"]:
        extras = re.findall(r"[\w]+(?=[\],])", " ".join(words))
        known = (ROOT / "setup.py").read_text()
        assert all(f'"{extra}":' in known for extra in extras), words


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_name_what_exists(page):
    text = page.read_text(encoding="utf-8")
    own_files = {
        found[1]: block
        for block in fences(text, "yaml")
        if (found := re.match(r"# (\S+\.yaml)\n", block))
    }
    last = []
    for words in commands(text):
        last = check(words, own_files, last)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_option_is_one_of_something(page):
    """Options that the text speaks of, outside of a command as well."""
    known = RUN_OPTIONS | TORCHRUN | {"plan", "key"}  # --key=value
    for path in (ROOT / "hparams").rglob("*.yaml"):
        known |= set(read_yaml(path))
    for path in [*RECIPE.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        source = logic(path)
        known |= set(re.findall(r'"--([a-z_-]+)[="]', source))
    text = page.read_text(encoding="utf-8")
    for block in fences(text, "yaml"):
        known |= set(YAML().load(block))
    found = re.findall(r"--([a-z]\w+)", text)
    assert set(found) <= known


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_wrong_commands_are_found():
    for line, message in [
        ("python train.py hparams/dino.yaml --batchsize=3", "batchsize"),
        ("python train.py hparams/dinosaur.yaml", "dinosaur"),
        ("python training.py hparams/dino.yaml", "training.py"),
        ("python pipeline.py chains/mini.yaml --cropp=3", "cropp"),
        ("python publish.py --token=x", "token"),
        ("torchrun --nodes=2 train.py hparams/dino.yaml", "nodes"),
        ("ssrl-brain tarin hparams/dino.yaml", "tarin"),
        ("ssrl-brain train hparams/dino.yaml --epoch=3", "epoch"),
        ("make coffee", "coffee"),
        ("rm -r /", "unknown"),
    ]:
        with pytest.raises((AssertionError, FileNotFoundError), match=message):
            check(shlex.split(line), {}, [])


def test_code_of_the_pages_is_checked_by_someone():
    """Python is run, by tests of use.md, data.md and README.md; YAML is read."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        kinds = {kind for kind, _ in FENCE.findall(text)}
        assert kinds <= {"", "python", "yaml", "mermaid", "text"}, page
        if "python" in kinds:
            assert page in [
                ROOT / "README.md",
                ROOT / "docs/use.md",
                ROOT / "docs/data.md",
            ]
        for block in fences(text, "yaml"):
            assert YAML().load(block)


def test_files_that_the_pages_name_are_there():
    """Those with a folder before their name; others may be of a run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`([\w.]+/[\w./]+\.(?:py|yaml|toml))`", text):
            places = [ROOT, RECIPE, ROOT / "ssrl_brain", ROOT / "benchmarks"]
            assert any((place / name).is_file() for place in places), name


def test_parquet_is_unpacked_by_the_code_of_the_page(tmp_path, monkeypatch):
    """docs/data.md, with tables of JSON in the place of pyarrow's."""

    class ParquetFile:
        def __init__(self, path):
            self.rows = json.loads(path.read_text())

        def iter_batches(self, batch_size, columns):
            assert columns == ["audio"]
            for first in range(0, len(self.rows), 2):
                rows = self.rows[first : first + 2]
                audio = [{"path": p, "bytes": b.encode()} for p, b in rows]
                yield {"audio": SimpleNamespace(to_pylist=lambda x=audio: x)}

    tables = tmp_path / "tables/data"
    tables.mkdir(parents=True)
    rows = [["a/1.flac", "x"], ["1.flac", "y"], [None, "z"]]
    (tables / "train-0.parquet").write_text(json.dumps(rows))
    (tables / "train-1.parquet").write_text(json.dumps(rows[:1]))
    fake = SimpleNamespace(ParquetFile=ParquetFile)
    monkeypatch.setitem(sys.modules, "pyarrow", SimpleNamespace(parquet=fake))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", fake)
    line = ["unpack.py", str(tmp_path / "tables"), str(tmp_path / "audio")]
    monkeypatch.setattr(sys, "argv", line)
    (code,) = fences((ROOT / "docs/data.md").read_text("utf-8"), "python")
    exec(compile(code, "data.md", "exec"), {})  # noqa: S102
    found = {
        str(path.relative_to(tmp_path / "audio")): path.read_text()
        for path in (tmp_path / "audio").rglob("*.*")
        if path.is_file()
    }
    assert found == {
        "data/train-0/000000_1.flac": "x",
        "data/train-0/000001_1.flac": "y",
        "data/train-0/000002_audio.wav": "z",
        "data/train-1/000000_1.flac": "x",
    }


def test_the_model_of_the_readme_loads(start, tmp_path, monkeypatch):
    """The Python of the root README, on files of those names."""
    import shutil

    folder = tmp_path / "results/mine/ssrl/export"
    shutil.copytree(start["encoder_folder"], folder)
    waves = sorted(Path(start["data_folder"]).rglob("*.wav"))
    for name, wave in zip(("one.wav", "two.wav"), waves, strict=False):
        shutil.copy(wave, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (code,) = fences(PAGES[0].read_text(encoding="utf-8"), "python")
    found = {}
    exec(compile(code, "README.md", "exec"), found)  # noqa: S102
    assert -1 <= found["score"].item() <= 1
