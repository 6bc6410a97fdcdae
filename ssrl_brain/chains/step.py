"""A step of a chain: a stage, with what verifies and clusters it."""

from pathlib import Path

from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger

from ssrl_brain.chains import chain_file
from ssrl_brain.chains.chain import SCRIPTS
from ssrl_brain.commands import (
    claims,
    command_line,
    keys,
    label,
    train,
    verify,
)
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
PLANNED_CLUSTERS = 1000  # a suggested number is not known before


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
        names = [
            other["name"]
            for other in chain["steps"]
            if not other.get("needs_speakers")
        ]
        self.is_outcome = self.name == (names or [self.name])[-1]
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

    @property
    def is_embedded(self):
        """Whether the corpus is embedded when it is trained.

        For clusters; a stage with labels of its own needs none, and only the
        chain's outcome is worth hours for their distances and a map.
        """
        own = chain_file.makes_labels(self.yaml)
        return self.clusters and (self.is_outcome or not own)

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
        if self.is_embedded:
            yaml = "hparams/pseudo_label.yaml"
            options = {
                **self.encoders(),
                "label_folder": self.folder / "clusters",
            }
            if chain_file.makes_labels(self.yaml):
                options["given_label_folder"] = self.folder / "labels"
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
        if chain_file.makes_labels(self.yaml) and not self.is_embedded:
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
