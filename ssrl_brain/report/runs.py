"""What a finished or half-finished output folder holds, read for a report."""

from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ssrl_brain.report.panels import PLOTTED
from ssrl_brain.system.files import read_json
from ssrl_brain.training.log import numbered_history

MODALITIES = ("", "_audio", "_visual")  # endings of what is logged of each
HISTOGRAMS = (
    "loss_histogram",
    "loss_histogram_right",
    "loss_histogram_wrong",
)


@dataclass(frozen=True)
class Run:
    """One training stage; what is not there yet is empty or None."""

    name: str
    folder: Path
    history: list = field(default_factory=list)  # records of epochs
    row: dict = field(default_factory=dict)  # of the chain's table
    paper: dict = field(default_factory=dict)  # the paper's row
    yaml: str = ""  # text of hyperparams.yaml
    settings: dict = field(default_factory=dict)  # its plain values
    verified: dict = field(default_factory=dict)  # metrics by list

    @property
    def seconds(self):
        """Training time of the epochs so far."""
        return sum(record.get("seconds") or 0 for record in self.history)

    @property
    def reads_speakers(self):
        """Whether it learnt from true speakers, as a ceiling does."""
        return "label_fraction" in self.settings

    @property
    def label_folder(self):
        """Pseudo labels made by or after this stage, or None."""
        for name in ("clusters", "labels"):
            if (self.folder / name / "pseudo_labels.csv").is_file():
                return self.folder / name
        return None

    def score_files(self):
        """Paths of its scored trial lists, in order of name."""
        return sorted((self.folder / "verify" / "scores").glob("*.txt"))


@dataclass(frozen=True)
class Chain:
    """Runs of one output folder, in the order of the table.

    A single run is a chain of one.
    """

    name: str
    folder: Path
    title: str
    runs: list
    prepared: Path | None


def read_chain(folder):
    """Reads the output folder of a chain or of a single run.

    Arguments
    ---------
    folder : str

    Returns
    -------
    Chain

    Raises
    ------
    FileNotFoundError, ValueError
        If it is neither, or a file in it is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist: name a run's folder")
    table = {}
    if is_run(folder):
        runs = [read_run(folder)]
    else:
        table = read_table(folder / "metrics.json")
        rows = {row["name"]: row for row in table["stages"]}
        unfinished = sorted(
            path.name
            for path in folder.iterdir()
            if path.name not in rows and is_run(path)
        )
        runs = [
            read_run(folder / name, rows.get(name), table["paper"].get(name))
            for name in (*rows, *unfinished)
        ]
    if not runs:
        raise FileNotFoundError(
            f"{folder} is no output folder of train.py or pipeline.py: it has "
            "neither history.jsonl nor hyperparams.yaml nor steps with them"
        )
    name = folder.resolve().name
    title = table.get("title") or name
    return Chain(name, folder, title, runs, prepared_folder(folder, runs))


def read_table(path):
    """What ``pipeline.py`` wrote so far: title, stages, paper."""
    table = read_json(path)
    table = {"stages": []} if table is None else table
    try:
        table = {"title": "", "paper": {}, **table}
        if all(row["name"] for row in table["stages"]):
            return table
    except (TypeError, KeyError):
        pass  # told below
    raise ValueError(
        f"{path} is not the table of a chain: run pipeline.py again"
    )


def is_run(folder):
    """Whether a stage was trained into this folder."""
    return any(
        (folder / name).is_file() for name in ("history.jsonl", "done.json")
    ) or (
        (folder / "hyperparams.yaml").is_file()
        and (folder / "log.txt").is_file()
    )


def prepared_folder(folder, runs):
    """Where the data of the runs was prepared, or None if it is gone."""
    named = [run.settings.get("prepared_folder") for run in runs]
    for path in (folder / "prepared", *map(Path, filter(None, named))):
        if (path / "prepared.json").is_file():
            return path
    return None


def read_run(folder, row=None, paper=None):
    """Reads the output folder of one training stage.

    Arguments
    ---------
    folder : Path
    row, paper : dict, optional
        Its rows of the chain's table.

    Returns
    -------
    Run
    """
    path = folder / "hyperparams.yaml"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return Run(
        name=folder.resolve().name,
        folder=folder,
        history=checked_history(folder),
        row=row or {},
        paper=paper or {},
        yaml=text,
        settings=plain_settings(path, text),
        verified=read_json(folder / "verify" / "metrics.json") or {},
    )


def plain_settings(path, text):
    """Numbers and strings among the keys of a resolved YAML."""
    try:
        keys = YAML().load(text) or {}
    except YAMLError as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{path} is not valid YAML ({first})") from None
    return {k: v for k, v in keys.items() if isinstance(v, (int, float, str))}


def checked_history(folder):
    """Records of a run, of which every value can be drawn.

    Raises
    ------
    ValueError
        Naming file, line and key.
    """
    records = []
    for number, record in numbered_history(folder):
        for key, value in record.items():
            if not _is_drawable(key, value):
                raise ValueError(
                    f"{folder}/history.jsonl, line {number}: {key} is "
                    f"{str(value)[:40]!r}, which no stage writes: remove the "
                    "line"
                )
        for modality in MODALITIES:
            names = [x + modality for x in HISTOGRAMS]
            bins = {len(record[x]["counts"]) for x in names if record.get(x)}
            if len(bins) > 1 or bins == {0}:
                raise ValueError(
                    f"{folder}/history.jsonl, line {number}: its histograms "
                    f"have {sorted(bins)} bins, not one number of them: remove "
                    "the line"
                )
        records.append(record)
    return records


def _is_drawable(key, value):
    for modality in filter(None, MODALITIES):
        key = key.removesuffix(modality)
    if key == "warning":
        return isinstance(value, str)
    if value is None:
        return True
    if key == "mixture":
        return _is_list(value, 3) and all(
            _is_list(pair, 2) and _are_numbers(pair) for pair in value
        )
    if key in HISTOGRAMS:
        return (
            isinstance(value, dict)
            and _are_numbers([value.get("low"), value.get("high")])
            and _is_list(value.get("counts"))
            and _are_numbers(value["counts"])
        )
    if key == "cluster_size_quantiles":
        return _is_list(value, 5) and _are_numbers(value)
    if key == "loss_axis":
        return isinstance(value, str)
    return isinstance(value, (int, float)) or key not in PLOTTED | {"seconds"}


def _is_list(value, length=None):
    return isinstance(value, list) and len(value) == (length or len(value))


def _are_numbers(values):
    return all(isinstance(value, (int, float)) for value in values)
