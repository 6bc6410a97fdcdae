"""Scores trial lists with an encoder folder: EER and minDCF.

    python verify.py --data_folder=/data/voxceleb1 \\
        --trial_lists=veri_test2.txt,list_test_hard2.txt \\
        --encoder_folder=results/ssrl/export --output_folder=results/verify

Keys and defaults: hparams/verify.yaml. Scores are cosines of whole-utterance
embeddings. Written to the output folder: metrics.json, and for every list
scores/<list>.txt with lines "score label enrolment test". Figures have 95 %
intervals, from speakers drawn anew; from utterances where speakers are not
known, which makes them too narrow.

With --cohort_folder=<label folder> scores are normalised as well (adaptive
s-norm) against a mean embedding per pseudo label; these go to scores_as_norm/.

With --calibrate scores become log likelihood ratios: a logistic regression on
the first list, or on that of --calibrate=<list>, goes to calibration.json with
the threshold that follows, and Cllr and minCllr stand beside the EER. Use
trials that are like those to be decided.

Embeddings are kept in the output folder and used again as long as encoder and
audio are the same. Several ranks (torchrun) share the work.
"""

import contextlib
from pathlib import Path

import numpy as np
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger

from ssrl_brain.commands.opening import opened
from ssrl_brain.data.preparation import read_summary
from ssrl_brain.data.utterances import Utterances
from ssrl_brain.evaluation.cache import cached_embeddings
from ssrl_brain.evaluation.calibration import cllr, fit_calibration, min_cllr
from ssrl_brain.evaluation.metrics import score_trials
from ssrl_brain.evaluation.score_norm import (
    adaptive_s_norm,
    cohort_means,
    cohort_statistics,
)
from ssrl_brain.evaluation.tables import markdown_table, verification_row
from ssrl_brain.evaluation.verification import (
    evaluate,
    load_trials,
    trial_lists,
)
from ssrl_brain.handover.encoder_folder import ExportedEncoder
from ssrl_brain.handover.label_folder import read_embeddings, read_pseudo_labels
from ssrl_brain.report.tables import read_scores
from ssrl_brain.system.files import write_json
from ssrl_brain.system.folders import atomic_folder, remove

logger = get_logger(__name__)

SCORES = ("scores", "scores_as_norm")
WRITTEN = {
    "output_folder": "verification",
    "cache_folder": "cache",
    "prepared_folder": "prepared",
    **{f"output_folder/{name}": "scores" for name in SCORES},
    **{f"cache_folder/{name}": "embeddings" for name in ("test", "cohort")},
}
NEEDED = ("num_bootstraps", "cohort_folder", "cache_folder", "label_metrics")


def main(arguments):
    """Scores all prepared lists; returns metrics by name of the list."""
    arguments = [
        "--calibrate=True" if argument == "--calibrate" else argument
        for argument in arguments
    ]
    default_yaml = "hparams/verify.yaml"
    with opened(arguments, __doc__, NEEDED, WRITTEN, default_yaml) as command:
        return verify(command)


def verify(command):
    """What ``main`` does once the folders are its own."""
    hparams, run_options = command.hparams, command.run_options
    command.prepare()
    lists = trial_lists(hparams["prepared_folder"])
    if not lists:
        raise ValueError("no trial list: give --trial_lists=/path/to/list.txt")
    hparams["progress"] = not run_options.noprogressbar
    encoder = ExportedEncoder(
        hparams["encoder_folder"],
        run_options.device,
        hparams["trust_encoder"],
    )
    table = Utterances.from_csv(f"{hparams['prepared_folder']}/test.csv")
    embeddings = embeddings_of(encoder, table, "test", hparams)
    cohort = read_cohort(encoder, hparams)
    if not if_main_process():
        return {}
    statistics = cohort and cohort_statistics(
        embeddings, range(len(table)), *cohort
    )
    folder = Path(hparams["output_folder"])
    with contextlib.ExitStack() as whole:
        kept = [
            whole.enter_context(atomic_folder(folder / name, "scores"))
            for name in SCORES[: 1 + (statistics is not None)]
        ]
        metrics = {
            path.stem: {
                **score_list(
                    path, table, embeddings, statistics, hparams, kept
                ),
                "encoder": encoder.fingerprint(),
            }
            for path in lists
        }
    if statistics is None:  # of an earlier run
        remove(folder / SCORES[1], "scores")
    calibrate(metrics, hparams["calibrate"], folder)
    write_json(folder / "metrics.json", metrics)
    rows = [verification_row(*item) for item in metrics.items()]
    print(markdown_table(rows), flush=True)
    return metrics


def embeddings_of(encoder, table, name, hparams):
    """(N, D) embeddings of a table, of an earlier run if nothing changed."""
    key = {
        "encoder": encoder.fingerprint(),
        "utterances": table.fingerprint(),
        "audio": read_summary(hparams["prepared_folder"])["made_from"]["data"],
        "max_padding": hparams["max_padding"],
    }
    return cached_embeddings(
        Path(hparams["cache_folder"]) / name,
        key,
        lambda: encoder.embed(
            table,
            hparams["data_folder"],
            max_padding=hparams["max_padding"],
            batch_seconds=hparams["batch_seconds"],
            num_workers=hparams["num_workers"],
            progress=f"embedding ({name})" if hparams["progress"] else None,
        ),
        encoder.device,
    )


def read_cohort(encoder, hparams):
    """(means (K, D) of pseudo labels, how many count) or None without any."""
    folder = hparams["cohort_folder"]
    if not folder:
        return None
    table = Utterances.from_csv(hparams["table_csv"])
    found = read_pseudo_labels(folder, table)
    if found.source.get("encoder") == encoder.fingerprint():
        embeddings = read_embeddings(folder)
    else:
        embeddings = embeddings_of(encoder, table, "cohort", hparams)
    means = cohort_means(embeddings, found.labels, found.keep)
    return means, hparams["cohort_top"]


def score_list(path, table, embeddings, statistics, hparams, folders):
    """Metrics of one list; writes its score files, one in each folder."""
    trials = load_trials(path, table)
    repeated = trials.repeated()
    if len(repeated):
        label, enrol, test = (side[repeated[0]] for side in trials)
        logger.warning(
            f"{path.stem}: {len(repeated):,} trials stand there twice, the "
            f"first '{label} {table.ids[enrol]} {table.ids[test]}'; they count "
            "as often as they stand there"
        )
    scores = score_trials(embeddings, trials.enrol, trials.test)
    write_scores(folders[0] / path.name, scores, trials, table)
    metrics = figures(scores, trials, table, hparams)
    counts = read_summary(hparams["prepared_folder"])["counts"]
    metrics["trials"] = {
        "all": len(trials.labels),
        "same_speaker": int(trials.labels.sum()),
        "repeated": len(repeated),
        "missing": counts.get("missing trials", {}).get(path.stem, 0),
    }
    if statistics is not None:
        scores = adaptive_s_norm(
            scores, statistics[trials.enrol], statistics[trials.test]
        )
        write_scores(folders[1] / path.name, scores, trials, table)
        metrics["as_norm"] = figures(scores, trials, table, hparams)
    return metrics


def calibrate(metrics, name, folder):
    """Adds what calibrated scores are worth to the metrics of every list.

    Arguments
    ---------
    metrics : dict
        By name of the list.
    name : str or bool
        List to fit on; True: the first; False: none.
    folder : Path
        With the score files; ``calibration.json`` is written there.
    """
    (folder / "calibration.json").unlink(missing_ok=True)  # of an earlier run
    if not name:
        return
    name = next(iter(metrics)) if name is True else str(name)
    if name not in metrics:
        raise ValueError(
            f"--calibrate={name} is none of the lists {', '.join(metrics)}"
        )
    scored = {x: read_scores(folder / "scores" / f"{x}.txt") for x in metrics}
    found = fit_calibration(*scored[name])
    written = {
        "list": name,
        "slope": found.slope,
        "offset": found.offset,
        "threshold": found.threshold(),
    }
    for other, (scores, labels) in scored.items():
        metrics[other]["calibration"] = {
            **written,
            "cllr": cllr(found.llr(scores), labels),
            "min_cllr": min_cllr(scores, labels),
        }
    encoder = metrics[name]["encoder"]
    write_json(folder / "calibration.json", {**written, "encoder": encoder})


def figures(scores, trials, table, hparams):
    """Error rates with their intervals."""
    unit, drawn = "speaker", hparams["label_metrics"].speakers_of(table)
    if drawn is None:
        unit, drawn = "utterance", np.arange(len(table))
    metrics = evaluate(
        scores,
        trials.labels,
        (drawn[trials.enrol], drawn[trials.test]),
        hparams["num_bootstraps"],
        seed=hparams["seed"],
        progress="intervals" if hparams["progress"] else None,
    )
    return {**metrics, "intervals_by": unit}


def write_scores(path, scores, trials, table):
    """One line per trial: "score label enrolment test"."""
    lines = (
        f"{score:.6f} {label} {table.ids[e]} {table.ids[t]}\n"
        for score, label, e, t in zip(
            np.asarray(scores).tolist(),
            trials.labels.tolist(),
            trials.enrol.tolist(),
            trials.test.tolist(),
            strict=True,
        )
    )
    path.write_text("".join(lines), encoding="utf-8")
