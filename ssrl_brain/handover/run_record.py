"""What a run leaves of its export, so that later it can be told whose it is."""

import math
from pathlib import Path

from ssrl_brain.handover.encoder_folder import encoder_fingerprint
from ssrl_brain.handover.export import export_encoder
from ssrl_brain.system.files import read_json, write_json
from ssrl_brain.training.log import read_history

NAME = "exported.json"


def export_run(folder, run_folder, encoder, epoch=None, **options):
    """Writes the encoder folder of a run, and in the run which one it is.

    Arguments
    ---------
    folder : str
        Encoder folder to be written.
    run_folder : str
        Output folder of ``train.py``.
    encoder : torch.nn.Module
    epoch : int, optional
        That its weights are from; by default the last.
    **options
        Of ``export_encoder``.
    """
    run_folder = Path(run_folder)
    history = read_history(run_folder)
    records = [r for r in history if epoch in (None, r["epoch"])]
    metrics = {
        key: value
        for key, value in (records[-1] if records else {}).items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
    stage_yaml = run_folder / "hyperparams.yaml"
    export_encoder(
        folder,
        encoder,
        stage_yaml.read_text(encoding="utf-8"),
        metrics=metrics,
        **options,
    )
    record = {"encoder": encoder_fingerprint(folder), "epochs": len(history)}
    write_json(run_folder / NAME, record)


def check_run(run_folder, encoder_folder):
    """Refuses a run that did not make an encoder, or has gone on since.

    Arguments
    ---------
    run_folder, encoder_folder : str

    Raises
    ------
    ValueError
        In one line, with the remedy.
    """
    record = read_json(Path(run_folder) / NAME)
    own = Path(run_folder) / "export"  # of a run without a record
    if record is None and not (own / "hyperparams.yaml").is_file():
        raise ValueError(
            f"{run_folder} has exported no encoder: let train.py finish it"
        )
    epochs = len(read_history(run_folder))
    record = record or {"encoder": encoder_fingerprint(own), "epochs": epochs}
    if record["encoder"] != encoder_fingerprint(encoder_folder):
        raise ValueError(
            f"the run in {run_folder} did not make the encoder in "
            f"{encoder_folder}: give the output folder of the run that did"
        )
    if record["epochs"] != epochs:
        raise ValueError(
            f"the run in {run_folder} has gone on after its export, from "
            f"epoch {record['epochs']} to {epochs}: let train.py finish it"
        )
