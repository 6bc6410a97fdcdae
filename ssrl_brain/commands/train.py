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

Toolkit options: --device=cpu --precision=bf16 --ckpt_interval_minutes=15
--grad_accumulation_factor=4 --noprogressbar ... --debug runs ten batches an
epoch, in a temporary folder, and shows errors with their traceback.
"""

import logging
from pathlib import Path

import speechbrain as sb
from speechbrain.utils.distributed import run_on_main

from ssrl_brain.commands import command_line
from ssrl_brain.system.console import LOG_CONFIG
from ssrl_brain.system.distributed import join_group
from ssrl_brain.system.files import write_text
from ssrl_brain.system.interrupt import after_the_step
from ssrl_brain.training import conditions
from ssrl_brain.training.log import write_environment


def main(arguments):
    """Prepares, trains and exports; returns the Brain."""
    command_line.print_help(arguments, __doc__)
    hparams_file, run_options, overrides = command_line.parse(arguments)
    join_group(run_options)
    hparams = command_line.load(hparams_file, overrides)
    now = conditions.conditions(
        *command_line.with_blocks(hparams_file, overrides), run_options
    )
    conditions.check(hparams, now)
    run_on_main(hparams["prepare"])
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
        args=[
            output / "hyperparams.yaml",
            command_line.resolved_yaml(hparams_file, overrides),
        ],
    )
    run_on_main(conditions.write, args=[output, now])
    brain = hparams["brain_class"](
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_options,
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
