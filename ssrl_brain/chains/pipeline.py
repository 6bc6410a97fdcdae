"""Runs a chain of stages and ends in one table.

    python pipeline.py chains/mini.yaml --output_folder=results/mini
    python pipeline.py chains/ssrl.yaml --data_folder=/data/voxceleb \\
        --trial_lists=veri_test2.txt --noise_folder=/data/musan \\
        --rir_folder=/data/RIRS_NOISES --output_folder=results/ssrl

A chain names its steps, the YAML of each, and which step's encoder or labels
it starts from. Finished steps are skipped, an interrupted one goes on where
it stopped. Any --key=value is handed to every stage that has this key, and
wins over the chain's own options; so does a second YAML, for instance
hparams/mini.yaml.
Without --data_folder a chain with a `corpus` makes its synthetic corpus.
After each step its embeddings are clustered, unless the chain has
`cluster: False`; a step whose `labels` name another needs these clusters.
The table is also written to <output_folder>/metrics.json, and report.html
beside it shows what the stages logged.

With --plan nothing is trained: data are prepared, a few real batches of each
stage are run, and the plan says what would run, for how long and in how much
memory.
"""

import os
from pathlib import Path

from ruamel.yaml import YAML
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger

from ssrl_brain.chains import plan
from ssrl_brain.commands import command_line, label, report, train, verify
from ssrl_brain.evaluation.tables import markdown_table
from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.training.log import read_history

logger = get_logger(__name__)

VERIFICATION_METRICS = ("eer", "min_dcf_0.05", "min_dcf_0.01")
LABEL_METRICS = (
    "nmi",
    "nmi_audio",  # of speech and of faces alone, where both are clustered
    "nmi_visual",
    "nmi_kept",  # after purification, where there was any
    "accuracy",
    "purity",
    "clusters",
    "clusters_kept",
    "kept",  # utterances
)


def main(arguments):
    """Runs the chain; returns the rows of the table."""
    command_line.print_help(arguments, __doc__)
    plan_only = "--plan" in arguments
    if plan_only and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("--plan measures one process: leave out torchrun")
    arguments = [argument for argument in arguments if argument != "--plan"]
    chain_file, yamls, options, run_options = read_command_line(arguments)
    chain = YAML(typ="safe").load(Path(chain_file))
    chain["overrides"] = chain.get("overrides", []) + yamls
    output = Path(options.pop("output_folder", f"results/{chain['name']}"))
    if "data_folder" not in options:
        options |= make_corpus(chain, output / "corpus", options)
    check_keys(chain, options)
    title = chain.get("title", "")
    paper = {s["name"]: s["paper"] for s in chain["steps"] if "paper" in s}
    runners = [
        Step(step, chain, output, options, run_options)
        for step in chain["steps"]
    ]
    if plan_only:
        print(plan.plan(runners), flush=True)
        return []
    rows = []
    for runner in runners:
        rows.append(runner.result())
        if if_main_process():
            write_json(
                output / "metrics.json",
                {"title": title, "stages": rows, "paper": paper},
            )
    if if_main_process():
        papers = [
            {"name": f"{name} (paper)", **row} for name, row in paper.items()
        ]
        print(markdown_table(rows + papers, title), flush=True)
        report.main([str(output)])
    return rows


def read_command_line(arguments):
    """(chain file, further YAMLs, overrides by key, run options as given)"""
    if not arguments or arguments[0].startswith("-"):
        raise ValueError("name a chain, for instance chains/mini.yaml")
    yamls = [x for x in arguments if x.endswith(".yaml") and x[0] != "-"]
    for path in yamls:
        command_line.find(path)
    options, run_options = {}, []
    for argument in arguments[1:]:
        if argument in yamls:
            continue
        key, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            raise ValueError(f"write options as --key=value, not {argument}")
        if not equals or key in RUN_OPTIONS:
            run_options.append(argument)
        else:
            options[key] = value
    return command_line.find(arguments[0]), yamls[1:], options, run_options


RUN_OPTIONS = {
    "device",
    "precision",
    "eval_precision",
    "ckpt_interval_minutes",
    "ckpt_interval_steps",
    "grad_accumulation_factor",
    "distributed_backend",
    "max_grad_norm",
}


def make_corpus(chain, folder, options):
    """Synthetic corpus of a chain; returns the options that point to it."""
    if "corpus" not in chain:
        raise ValueError("give --data_folder=/path/to/voxceleb")
    try:
        from ssrl_brain.data.prepare import synthvox
    except ImportError:
        raise ValueError(
            "a synthetic corpus needs eSpeak NG: `pip install espeakng-loader`"
        ) from None
    run_on_main(
        synthvox.make_corpus,
        kwargs={"folder": str(folder), **chain["corpus"]},
    )
    frames = folder / "voxceleb_frames"
    return {
        **({"frames_folder": str(frames)} if frames.is_dir() else {}),
        "data_folder": str(folder / "voxceleb"),
        "trial_lists": options.get("trial_lists", "veri_test.txt"),
        "noise_folder": str(folder / "musan"),
        "rir_folder": str(folder / "RIRS_NOISES"),
    }


def yaml_keys(path):
    """Keys of a stage YAML."""
    return set(command_line.read_yaml(command_line.find(path)))


def check_keys(chain, options):
    """Wrong and missing keys are told before anything runs."""
    known = set.union(*(yaml_keys(step["train"]) for step in chain["steps"]))
    known |= yaml_keys("hparams/pseudo_label.yaml")
    known |= yaml_keys("hparams/verify.yaml")
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"--{unknown[0]} is not a key of any stage")
    missing = [key for key in chain.get("needs", []) if key not in options]
    if missing:
        raise ValueError(
            f"this chain needs --{missing[0]}=...{command_line.HINTS[missing[0]]}"
        )


class Step:
    """One training stage with the verification and labels that follow it."""

    def __init__(self, step, chain, output, options, run_options):
        self.name = step["name"]
        self.yaml = step["train"]
        self.overrides = [
            *step.get("overrides", []),
            *chain.get("overrides", []),
        ]
        self.clusters = chain.get("cluster", True)
        self.logged = chain.get("logged", [])
        self.output = output
        self.folder = output / self.name
        self.run_options = run_options
        self.options = {
            "prepared_folder": str(output / "prepared"),
            **chain.get("options", {}),
            **step.get("options", {}),
            **options,
            **step.get("fixed", {}),
        }
        if "encoder" in step:
            self.options["encoder_folder"] = str(
                output / step["encoder"] / "export"
            )
        if "labels" in step:
            self.options["label_folder"] = str(
                output / step["labels"] / "clusters"
            )

    def result(self):
        """Row of the table; from the disk if the step is finished."""
        done = read_json(self.folder / "done.json")
        given = {key: str(value) for key, value in self.options.items()}
        given["yaml"] = " ".join([self.yaml, *self.overrides])
        if done is not None:
            changed = sorted(
                key
                for key in given.keys() | done["options"].keys()
                if given.get(key) != done["options"].get(key)
            )
            if changed:
                raise ValueError(
                    f"{self.folder} was made with another {changed[0]}: "
                    "delete that folder or give another --output_folder"
                )
            logger.info("%s: finished before, skipped", self.name)
            return done["row"]
        logger.info("%s: %s", self.name, self.yaml)
        row = self.run()
        if if_main_process():
            write_json(
                self.folder / "done.json", {"options": given, "row": row}
            )
        return row

    def run(self):
        """Trains, verifies, clusters."""
        self.call(train.main, self.yaml, {"output_folder": self.folder})
        row = {"name": self.name}
        history = read_history(self.folder)
        row["seconds"] = round(sum(r["seconds"] for r in history), 1)
        last = history[-1] if history else {}
        row |= {key: last[key] for key in self.logged if key in last}
        own = {"encoder_folder": self.folder / "export"}
        if self.options.get("trial_lists"):
            lists = self.call(
                verify.main,
                "hparams/verify.yaml",
                {**own, "output_folder": self.folder / "verify"},
            )
            for number, (name, metrics) in enumerate(lists.items()):
                suffix = f"_{name}" if number else ""
                row |= {k + suffix: metrics[k] for k in VERIFICATION_METRICS}
        if (self.folder / "labels").is_dir():  # made by the stage itself
            labels = history[-1]
        elif not self.clusters:
            labels = {}
        else:
            faces = self.folder / "export_visual"
            if faces.is_dir():
                own["visual_encoder_folder"] = faces
            labels = self.call(
                label.main,
                "hparams/pseudo_label.yaml",
                {**own, "label_folder": self.folder / "clusters"},
            )
        return row | {k: labels[k] for k in LABEL_METRICS if k in labels}

    def call(self, function, yaml, options):
        """A script's main, with the options that its YAML has."""
        return function(self.arguments(yaml, options))

    def arguments(self, yaml, options):
        """Command line of a script: the options that its YAML has."""
        keys = yaml_keys(yaml)
        options = {**self.options, **options}
        arguments = [
            f"--{key}={value}" for key, value in options.items() if key in keys
        ]
        return [yaml, *self.overrides, *arguments, *self.run_options]
