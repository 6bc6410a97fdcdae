"""Runs a chain of stages and ends in one table.

    python pipeline.py chains/mini.yaml --output_folder=results/mini
    python pipeline.py chains/ssrl.yaml --data_folder=/data/voxceleb \\
        --trial_lists=veri_test2.txt --noise_folder=/data/musan \\
        --rir_folder=/data/RIRS_NOISES --output_folder=results/ssrl

A chain names its steps, the YAML of each, and which step's encoder or labels
it starts from. Before anything runs, every step is built at full size without
weights, to see that it fits those that start from it. Finished steps are
skipped, an interrupted one goes on where it stopped. Any --key=value is handed to every stage that has this key, and
wins over the chain's own options; so does a second YAML, for instance
hparams/mini.yaml.
Without --data_folder a chain with a `corpus` makes its synthetic corpus.
After each step its embeddings are clustered, unless the chain has
`cluster: False`; a step whose `labels` name another needs these clusters.
A step with `needs_speakers: True` is left out where true speakers are not
known or there are no trials; `way: [untrained, ceiling]` tells in `way_%` how
far each EER is from that of the one step to that of the other.
The table is also written to <output_folder>/metrics.json, report.html beside
it shows what the stages logged, and clusters.csv lists every file with its
cluster.

With --plan nothing is trained: data are prepared, a few real batches of each
stage are run, and the plan says what would run, for how long and in how much
memory. With --no_audio the report holds no clips of utterances.
"""

import contextlib
import inspect
import os
import sys
from pathlib import Path

from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger

from ssrl_brain.chains import chain_file, plan
from ssrl_brain.chains.chain import SCRIPTS, check_keys
from ssrl_brain.chains.chain_file import read_chain
from ssrl_brain.chains.listing import listing
from ssrl_brain.chains.outcome import write_outcome
from ssrl_brain.chains.rehearsal import rehearse
from ssrl_brain.commands import (
    claims,
    command_line,
    keys,
    label,
    report,
    train,
    values,
    verify,
)
from ssrl_brain.evaluation.tables import markdown_table, with_way
from ssrl_brain.report.write import refuse_to_overwrite
from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.system.folders import Output, check
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

PLANNED_CLUSTERS = 1000  # a suggested number is not known before


def main(arguments):
    """Runs the chain; returns the rows of the table."""
    show_help(arguments)
    plan_only = "--plan" in arguments
    if plan_only and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise ValueError("--plan measures one process: leave out torchrun")
    about_report = [x for x in arguments if x == "--no_audio"]
    flags = ("--plan", "--no_audio")
    arguments = [argument for argument in arguments if argument not in flags]
    path, yamls, options, run_options = read_command_line(arguments)
    chain = read_chain(path)
    chain["overrides"] = chain.get("overrides", []) + yamls
    output = options.pop("output_folder", f"results/{chain['name']}")
    output = Path(values.expanded("output_folder", output))
    given = dict(options)
    check_keys(path, chain, options)
    if "data_folder" not in options and "corpus" in chain:
        refuse_unknown_numbers(chain["corpus"])
    if "data_folder" not in options:
        options |= corpus_options(chain, output / "corpus", options)
    title = chain.get("title", "")
    steps = chain["steps"]
    paper = {s["name"]: s["paper"] for s in steps if "paper" in s}
    paper |= chain.get("paper", {})
    runners = [
        Step(step, chain, output, options, run_options) for step in steps
    ]
    for runner in runners:
        runner.check()
    outputs = check_folders(output, given, runners)
    rehearse(runners)
    with contextlib.ExitStack() as held:
        if not plan_only:
            run_on_main(claims.take, args=[held, outputs])
        if "data_folder" not in given:
            make_corpus(output / "corpus", chain["corpus"])
        if plan_only:
            print(plan.plan(runners), flush=True)
            return []
        rows = []
        for runner in runners:
            if runner.lacks_speakers():
                why = "left out, needs speakers and trials"
                logger.info("%s: %s", runner.name, why)
                continue
            rows.append(runner.result())
            with_way(rows, *chain.get("way", ()))
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
        last = [step for step in runners if not step.needs_speakers][-1]
        told = write_outcome(output, last.folder, last.table_csv)
        report.main([str(output), *about_report])
        print(told, flush=True)
    return rows


def show_help(arguments):
    """Help, with the head of the chain where one is named; else the list."""
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.strip(), end="\n\n")
        chains = [a for a in arguments if a.endswith(".yaml")][:1]
        for chain in chains:
            text = Path(command_line.find(chain)).read_text(encoding="utf-8")
            print(text.partition("\nname:")[0])
            steps = read_chain(command_line.find(chain))["steps"]
            for stage in dict.fromkeys(step["train"] for step in steps):
                print(f"\nKeys: those of `ssrl-brain train {stage} --help`")
        print("" if chains else f"Chains:\n\n{listing()}")
        sys.exit(0)
    if not arguments:
        print(f"Chains:\n\n{listing()}\n")


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
        if not equals or key in command_line.RUN_OPTIONS:
            run_options.append(argument)
        else:
            options[key] = value
    return command_line.find(arguments[0]), yamls[1:], options, run_options


def corpus_options(chain, folder, options):
    """Options that point to the synthetic corpus of a chain."""
    if "corpus" not in chain:
        raise ValueError("give --data_folder=/path/to/voxceleb")
    faces = chain["corpus"].get("faces")
    return {
        **({"frames_folder": f"{folder}/voxceleb_frames"} if faces else {}),
        "data_folder": str(folder / "voxceleb"),
        "trial_lists": options.get("trial_lists", "synthetic_trials.txt"),
        "noise_folder": str(folder / "musan"),
        "rir_folder": str(folder / "RIRS_NOISES"),
    }


def refuse_unknown_numbers(numbers):
    """Refuses what the synthetic corpus of a chain cannot be told."""
    known = inspect.signature(synthetic().make_corpus).parameters
    keys.refuse_unknown(numbers, known, "is not a key of a corpus")


def synthetic():
    """The module that makes a synthetic corpus."""
    try:
        from ssrl_brain.data.prepare import synthvox
    except ImportError:
        raise ValueError(
            "a synthetic corpus needs eSpeak NG: `pip install espeakng-loader`"
        ) from None
    return synthvox


def make_corpus(folder, numbers):
    """Makes the synthetic corpus of a chain, unless it is there."""
    run_on_main(
        synthetic().make_corpus,
        kwargs={"folder": str(folder), **numbers},
    )


def check_folders(output, options, runners):
    """What no step may write is told before the first one runs.

    Returns
    -------
    list of Output
        The chain's own folder.
    """
    outputs = [Output("output_folder", str(output), "chain")]
    check({key: options.get(key) for key in claims.INPUTS}, outputs)
    refuse_to_overwrite(output / "report.html")
    for runner in runners:
        runner.check_folders()
    return outputs


class Step:
    """One training stage with the verification and labels that follow it."""

    def __init__(self, step, chain, output, options, run_options):
        self.name = step["name"]
        self.yaml = step["train"]
        self.overrides = [
            *chain.get("base_overrides", []),
            *step.get("overrides", []),
            *chain.get("overrides", []),
        ]
        self.clusters = chain.get("cluster", True)
        self.logged = chain.get("logged", [])
        self.stages = sorted({step["train"] for step in chain["steps"]})
        self.needs_speakers = step.get("needs_speakers", False)
        self.output = output
        self.folder = output / self.name
        self.run_options = run_options
        encoder, labels = (
            chain_file.source_of(step, chain, what)
            for what in ("encoder", "labels")
        )
        sources = {}
        if encoder:
            sources["encoder_folder"] = str(output / encoder / "export")
        if labels:
            sources["label_folder"] = str(
                chain_file.label_folder(labels, chain, output)
            )
        taken = set().union(*map(keys.keys_of, self.overrides))
        defaults = chain.get("defaults", {}).items()
        self.options = {
            "prepared_folder": str(output / "prepared"),
            **{key: value for key, value in defaults if key not in taken},
            **chain.get("options", {}),
            **step.get("options", {}),
            **options,
            **sources,
            **step.get("fixed", {}),
        }

    def lacks_speakers(self):
        """Whether it needs true speakers of data that have none, or no trials.

        To be asked when an earlier step has prepared the data.
        """
        folder = Path(self.options["prepared_folder"])
        known = (folder / "speakers.csv").is_file()
        known = known or bool(self.options.get("speakers_csv"))
        known = known and bool(self.options.get("trial_lists"))
        return self.needs_speakers and not known

    @property
    def table_csv(self):
        """Utterances that it is trained on."""
        default = Path(self.options["prepared_folder"]) / "train.csv"
        return self.options.get("table_csv", default)

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
            gone = self.missing()
            if not gone:
                logger.info("%s: finished before, skipped", self.name)
                return done["row"]
            logger.warning("%s: done again, for %s is gone", self.name, gone[0])
        logger.info("%s: %s", self.name, self.yaml)
        row = self.run(done and done["row"])
        if if_main_process():
            write_json(
                self.folder / "done.json", {"options": given, "row": row}
            )
        return row

    def parts(self):
        """(what makes a part of the row, its script, YAML and options, and
        the files that it leaves), in order."""
        own = {"encoder_folder": self.folder / "export"}
        encoder = ["hyperparams.yaml", "embedding_model.ckpt"]
        trained = [f"export/{name}" for name in encoder]
        labels = ["pseudo_labels.csv", "centroids.npy", "source.json"]
        if chain_file.makes_labels(self.yaml):
            trained += [f"labels/{name}" for name in labels]
        if chain_file.exports_faces(self.yaml):
            trained += [f"export_visual/{name}" for name in encoder]
        options = {"output_folder": self.folder}
        yield self.train, train, self.yaml, options, trained
        if self.options.get("trial_lists"):
            yaml = "hparams/verify.yaml"
            options = {**own, "output_folder": self.folder / "verify"}
            yield self.verify, verify, yaml, options, ["verify/metrics.json"]
        if self.clusters:
            yaml = "hparams/pseudo_label.yaml"
            options = {
                **self.encoders(),
                "label_folder": self.folder / "clusters",
            }
            if chain_file.makes_labels(self.yaml):
                options["given_labels"] = self.folder / "labels"
            files = [f"clusters/{name}" for name in labels]
            yield self.cluster, label, yaml, options, files

    def encoders(self):
        """Options that give the clustering what the step has trained."""
        found = {"encoder_folder": self.folder / "export"}
        if chain_file.exports_faces(self.yaml):
            found["visual_encoder_folder"] = self.folder / "export_visual"
        return found

    def is_missing(self, files):
        """Whether any of the files that a part leaves is not there."""
        return any(not (self.folder / name).is_file() for name in files)

    def missing(self):
        """Paths of what a finished step has left and is gone."""
        left = [name for *_, files in self.parts() for name in files]
        paths = [self.folder / name for name in left]
        return [path for path in paths if not path.is_file()]

    def check_folders(self):
        """Refuses what a part that is to be done must not write."""
        finished = (self.folder / "done.json").is_file()
        for _, script, yaml, options, files in self.parts():
            if not finished or self.is_missing(files):
                file, _, overrides = command_line.parse(
                    self.arguments(yaml, options)
                )
                claims.checked(file, overrides, script.WRITTEN)

    def run(self, done=None):
        """Trains, verifies, clusters; of a finished step, what is missing."""
        row = {"name": self.name, **(done or {})}
        for make, script, yaml, options, files in self.parts():
            if done is None or self.is_missing(files):
                row |= make(self.call(script.main, yaml, options))
        if chain_file.makes_labels(self.yaml) and not self.clusters:
            row |= self.cluster(read_history(self.folder)[-1])
        return row

    def train(self, brain):
        """Figures of the training."""
        history = read_history(self.folder)
        row = {"seconds": round(sum(r["seconds"] for r in history), 1)}
        last = history[-1] if history else {}
        return row | {key: last[key] for key in self.logged if key in last}

    def verify(self, lists):
        """Figures of the trial lists, of which the first has no suffix."""
        return {
            key + (f"_{name}" if number else ""): metrics[key]
            for number, (name, metrics) in enumerate(lists.items())
            for key in VERIFICATION_METRICS
            if key in metrics  # not where a list has one kind only
        }

    def cluster(self, labels):
        """Figures of pseudo labels."""
        return {k: labels[k] for k in LABEL_METRICS if k in labels}

    def check(self):
        """Refuses values that cannot be meant, before the first step runs."""
        own = {**self.encoders(), "label_folder": self.folder / "clusters"}
        for yaml, options in ((self.yaml, {}), *((x, own) for x in SCRIPTS)):
            file, _, overrides = command_line.parse(
                self.arguments(yaml, {"output_folder": self.folder, **options})
            )
            command_line.merged(file, overrides)

    def call(self, function, yaml, options):
        """A script's main, with the options that its YAML has."""
        return function(self.arguments(yaml, options))

    def arguments(self, yaml, options):
        """Command line of a script: the options that its YAML has."""
        known = keys.keys_of(yaml)
        options = {**self.options, **options}
        if yaml == self.yaml:
            options |= self.number_of_labels()
        arguments = [
            f"--{key}={'' if value is None else value}"
            for key, value in options.items()
            if key in known
        ]
        others = f"--{command_line.OTHER_STAGES}={','.join(self.stages)}"
        return [yaml, *self.overrides, *arguments, others, *self.run_options]

    def number_of_labels(self):
        """``num_clusters`` of the labels to learn from, where it is "auto"."""
        if self.options.get("num_clusters") != "auto":
            return {}
        folder = Path(self.options.get("label_folder", ""))
        source = read_json(folder / "source.json") or {}
        # before there are any, to plan with
        return {"num_clusters": source.get("num_clusters", PLANNED_CLUSTERS)}
