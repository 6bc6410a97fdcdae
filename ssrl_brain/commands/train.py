"""Trains one stage, as its YAML describes it.

    python train.py hparams/dino.yaml --data_folder=/data/voxceleb \\
        --output_folder=results/dino
    python train.py hparams/ssrl.yaml --data_folder=/data/voxceleb \\
        --encoder_folder=results/dino/export \\
        --label_folder=results/labels

Every key of the YAML can be given as --key=value. Further YAMLs override keys
as well, whole blocks included: hparams/mini.yaml makes any stage fit a laptop,
and a file with another `embedding_model` block trains another encoder.
The same command resumes an interrupted run; Ctrl-C finishes the present step
and saves it. On several GPUs:

    torchrun --standalone --nproc_per_node=4 train.py hparams/dino.yaml ...

A folder, file or list is what was typed, with ~ expanded, and nothing where
nothing was typed: --noise_folder= is none. Other values are YAML. A file of
overrides may hold keys of any stage, and --other_stages=a.yaml,b.yaml names
stages of your own for that.

Toolkit options: --device=cpu --precision=bf16 --ckpt_interval_minutes=15
--grad_accumulation_factor=4 --noprogressbar ... --debug runs ten batches an
epoch, in a temporary folder, and shows errors with their traceback.
"""

import logging
from pathlib import Path

import speechbrain as sb
from ruamel.yaml import YAML
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger

from ssrl_brain.commands import command_line
from ssrl_brain.commands.help import stages_text
from ssrl_brain.commands.opening import opened
from ssrl_brain.handover.export import foreign_classes
from ssrl_brain.system.console import LOG_CONFIG
from ssrl_brain.system.files import write_text
from ssrl_brain.system.interrupt import after_the_step
from ssrl_brain.training import conditions
from ssrl_brain.training.log import write_environment

logger = get_logger(__name__)

WRITTEN = {
    "output_folder": "run",
    "export_folder": "encoder",
    "visual_export_folder": "visual_encoder",
    "exported_label_folder": "labels",
    "prepared_folder": "prepared",
}
NEEDED = (  # keys of every stage
    "brain_class",
    "modules",
    "opt_class",
    "epoch_counter",
    "checkpointer",
    "prepare",
    "prepared_folder",
    "initialise",
    "make_train_set",
    "dataloader_options",
    "export_folder",
    "export_foreign",
    "output_folder",
    "allow_changes",
)


def main(arguments):
    """Prepares, trains and exports; returns the Brain."""
    text = __doc__ + "\n" + stages_text()
    with opened(arguments, text, NEEDED, WRITTEN) as command:
        return train(command)


def train(command):
    """What ``main`` does once the folders are its own."""
    hparams, given = command.hparams, (command.hparams_file, command.overrides)
    now = conditions.conditions(
        command_line.merged(*given), command.run_options
    )
    conditions.check(hparams, now)
    command.prepare()
    stage_yaml = command_line.resolved_yaml(*given)
    run_on_main(warn_foreign, args=[stage_yaml, hparams["export_foreign"]])
    now["banks"] = conditions.banks(hparams["prepared_folder"])
    conditions.check(hparams, {"banks": now["banks"]})
    hparams["initialise"]()
    output = Path(hparams["output_folder"])
    sb.create_experiment_directory(
        str(output), save_env_desc=False, log_config=LOG_CONFIG
    )
    logging.captureWarnings(True)
    run_on_main(write_environment, args=[output])
    run_on_main(
        write_text,
        args=[output / "hyperparams.yaml", stage_yaml],
    )
    run_on_main(conditions.write, args=[output, now])
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=command.run_options,
        checkpointer=hparams["checkpointer"],
    )
    with after_the_step(brain):
        brain.fit(
            hparams["epoch_counter"],
            hparams["make_train_set"](),
            train_loader_kwargs=hparams["dataloader_options"],
        )
    run_on_main(brain.export, args=[hparams["export_folder"]])
    return brain


def warn_foreign(stage_yaml, asked_for):
    """Tells now what would be refused when training has ended."""
    names = foreign_classes(YAML().load(stage_yaml))
    if names and not asked_for:
        logger.warning(
            f"The encoder uses {', '.join(names)}, which stock SpeechBrain "
            "cannot import: its export will be refused, unless with "
            "--export_foreign=True"
        )
