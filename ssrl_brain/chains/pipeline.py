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
stage are run, and the plan says what would run, for how long, in how much memory,
and what the stages would warn of. With --no_audio the report holds no clips of utterances.
"""

import contextlib
import inspect
import os
import sys
from pathlib import Path

from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger

from ssrl_brain.chains import plan
from ssrl_brain.chains.chain import check_keys
from ssrl_brain.chains.chain_file import read_chain
from ssrl_brain.chains.listing import listing
from ssrl_brain.chains.outcome import write_outcome
from ssrl_brain.chains.rehearsal import rehearse
from ssrl_brain.chains.step import Step
from ssrl_brain.commands import (
    claims,
    command_line,
    keys,
    report,
    values,
)
from ssrl_brain.evaluation.tables import markdown_table, with_way
from ssrl_brain.report.write import refuse_to_overwrite
from ssrl_brain.system.files import write_json
from ssrl_brain.system.folders import Output, check

logger = get_logger(__name__)


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
        last = [step for step in runners if step.is_outcome][-1]
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
