"""Kills runs at random moments and compares with those that went through.

    python tests/soak.py --moments=20
    python tests/soak.py --moments=5 --cases=ssrl,pipeline --seed=1

Every case runs once without a stop. Then, for each moment, it is begun anew,
killed there (SIGKILL), begun again with the same command, and compared bit for
bit: weights, optimizer, memories, labels, logs and tables, but for times.
"""

import argparse
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import conftest  # noqa: E402
import processes  # noqa: E402

CHAIN = """
name: tiny
overrides: [{tiny}]
steps:
    - name: contrastive
      train: hparams/contrastive.yaml
      options: {{number_of_epochs: 1}}
    - name: ssrl
      train: hparams/ssrl.yaml
      encoder: contrastive
      labels: contrastive
      options: {{number_of_epochs: 1}}
"""
# name: (YAML, options); another one is another line
STAGES = {
    "dino": ("dino.yaml", {}),
    "ca_dino": ("ca_dino.yaml", {"number_of_epochs": 3}),
    "dlg_lc": ("dlg_lc.yaml", {}),
    "ssrl": ("ssrl.yaml", {}),
    "sinkhorn": (
        "ssrl.yaml",
        {
            "assignment": "!new:ssrl_brain.clustering.online.SinkhornAssignment"
            " {sharpness: 10, rows_per_cluster: 2}"  # some always in flight
        },
    ),
    "iterative": ("iterative.yaml", {}),
    "accumulating": (
        "dino.yaml",
        {"batch_size": 4, "more": ("--grad_accumulation_factor=2",)},
    ),
    "two_ranks": ("ssrl.yaml", {}),
    "two_ranks_dino": ("dino.yaml", {}),
    "bf16": ("ssrl.yaml", {"more": ("--precision=bf16",)}),
}
CASES = [*STAGES, "pipeline"]
ON_TWO_RANKS = {"two_ranks", "two_ranks_dino"}


class Case:
    """A run that can be begun in any folder.

    Arguments
    ---------
    name : str
    root : Path
        Folder for all runs of the case.
    start : dict
        Options that point to a corpus and what a stage starts from.
    """

    def __init__(self, name, root, start):
        self.name = name
        self.root = root / name
        self.root.mkdir(parents=True, exist_ok=True)
        self.start = start

    def command(self, folder):
        """(script, arguments) that work in a folder."""
        steps = ["--ckpt_interval_steps=1"]
        if self.name != "pipeline":
            yaml, options = STAGES[self.name]
            options = dict(options)
            more = options.pop("more", ())
            line = conftest.arguments(
                yaml, **{**self.start, **options}, output_folder=folder
            )
            return "train", [*line, *steps, *more]
        (self.root / "tiny.yaml").write_text(
            "".join(f"{k}: {v}\n" for k, v in conftest.TINY.items())
        )
        chain = self.root / "chain.yaml"
        chain.write_text(CHAIN.format(tiny=self.root / "tiny.yaml"))
        corpus = ("data_folder", "trial_lists", "noise_folder", "rir_folder")
        return "pipeline", [
            str(chain),
            "--device=cpu",
            "--noprogressbar",
            *steps,
            f"--output_folder={folder}",
            *(f"--{key}={self.start[key]}" for key in corpus),
        ]

    def run(self, name, kill_at=None):
        """Exit code of a run in a folder of that name."""
        command = self.command(self.root / name)
        if self.name in ON_TWO_RANKS:
            codes = processes.run_ranks(
                *command, self.root / name, [{"kill_at": kill_at}] * 2
            )
            return min(codes)
        log = self.root / name / "rank0.log"
        log.parent.mkdir(exist_ok=True)
        return processes.run(*command, log, kill_at=kill_at)

    def log(self, name):
        """The end of what such a run has printed."""
        return (self.root / name / "rank0.log").read_text()[-3000:]

    def go_straight(self):
        """The run to compare with; counts its moments."""
        code = self.run("straight", kill_at=())
        if code:
            log = self.log("straight")
            raise SystemExit(f"{self.name} fails by itself:\n{log}")
        self.expected = processes.results(self.root / "straight")
        text = (self.root / "straight/rank0.moments").read_text()
        self.moments = json.loads(text)

    def some_moment(self, generator):
        """(point, number): points are alike, however often they are met."""
        point = generator.choice(
            sorted(k for k, n in self.moments.items() if n)
        )
        return point, generator.randint(1, self.moments[point])

    def kill(self, moment):
        """What is not as in the straight run, after a kill and a resume."""
        folder = self.root / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        code = self.run("killed", kill_at=moment)
        if code != -9:
            return [f"exit code {code} instead of a kill"]
        code = self.run("killed")
        if code:
            return [f"exit code {code} of the resumed run"]
        return processes.differences(self.expected, processes.results(folder))


def main():
    """Runs the cases; exit status 1 if any of them differs."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1986)
    parser.add_argument("--cases", default=",".join(CASES))
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        start = conftest.make_start(root, conftest.make_corpus(root))
        for name in options.cases.split(","):
            case = Case(name, root / "runs", start)
            case.go_straight()
            generator = random.Random(f"{name} {options.seed}")
            for number in range(1, options.moments + 1):
                begun = time.time()
                moment = case.some_moment(generator)
                different = case.kill(moment)
                failed += bool(different)
                print(
                    f"{name} {number}/{options.moments}: killed at "
                    f"{moment[0]} {moment[1]} of {case.moments[moment[0]]}: "
                    f"{'; '.join(different[:5]) or 'the same'} "
                    f"({time.time() - begun:.1f} s)",
                    flush=True,
                )
                if different:
                    print(case.log("killed"), flush=True)
            shutil.rmtree(case.root)
    print(f"{failed} differ" if failed else "all the same")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
