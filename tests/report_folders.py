"""Output folders as the stages leave them, made without any training."""

import json

import numpy as np

from ssrl_brain.noisy_labels.gmm import fit_two_gaussians
from ssrl_brain.noisy_labels.histograms import histogram
from ssrl_brain.system.files import write_json, write_text

HYPERPARAMS = """
seed: 1
output_folder: {folder}
prepared_folder: {prepared}
encoder_folder: {encoder}
label_folder: {labels}
number_of_epochs: {epochs}
student: !new:some.Module
    encoder: &id001 !new:other.Module
"""
EVIL = "<script>alert(1)</script>"


def log_losses(right=300, wrong=100):
    """Log losses of right and of wrong labels."""
    generator = np.random.default_rng(0)
    return (
        generator.normal(-4.0, 1.0, right),
        generator.normal(1.0, 0.7, wrong),
    )


def mixture_record(known=True):
    """What DLG-LC and SSRL log of their losses."""
    right, wrong = log_losses()
    both = np.concatenate([right, wrong])
    record = {
        "mixture": [x.tolist() for x in fit_two_gaussians(both)],
        "loss_histogram": histogram(both, 40),
    }
    if known:
        limits = record["loss_histogram"]
        for name, part in (("right", right), ("wrong", wrong)):
            counts, _ = np.histogram(part, 40, (limits["low"], limits["high"]))
            record[f"loss_histogram_{name}"] = {
                **limits,
                "counts": counts.tolist(),
            }
    return record


def stage_values(stage, share):
    """Values that a stage logs when a share of its epochs is done."""
    left = 1 - share
    return {
        "contrastive": {},
        "iterative": {},
        "finetune": {},
        "dino": {
            "teacher_entropy": 5 * left,
            "mean_entropy": 6 - left,
            "information": 1 + share,
            "mean_entropy_share": 0.7,
            "teacher_student_kl": 2 * left,
            "prototypes_used": 0.5 * left,
            "embedding_spread": 0.99,
            "center_norm": share,
            "probe_nmi": 0.5 + share / 4,
            "probe_labels": 40,
        },
        "ca_dino": {
            "teacher_entropy": 5 * left,
            "clusters": 12,
            "largest_cluster": 9,
            "cluster_seconds": 2.5,
        },
        "dlg_lc": {
            "gate": None if left == 1 else 3 * left,
            "next_gate": 0.3,
            "next_gate_on_axis": -1.2,
            "loss_axis": "ln(loss)",
            "passed": 0.5 + share / 4,
            "corrected": 0.2,
            "dropped": 0.3 - share / 4,
            "right": 0.7,
            "right_passed": 0.8 + share / 8,
            "right_before_correction": 0.2,
            "right_corrected": 0.3 + share / 4,
            "right_dropped": None,
            "right_recall": 0.6 + share / 4,
            **mixture_record(),
        },
        "audio_visual": {
            "passed": 0.5 + share / 4,
            "agreed": 0.2,
            "right": 0.7,
            "right_passed": 0.9,
            "right_before_agreed": 0.3,
            "right_agreed": 0.4 + share / 4,
            "right_recall": 0.6,
            **{
                f"{key}_{name}": value
                for name in ("audio", "visual")
                for key, value in {
                    "corrected": 0.1,
                    "dropped": 0.2 - share / 4,
                    "below_gate": 0.6,
                    "right_corrected": 0.5,
                    "right_dropped": None,
                    "right_below_gate": 0.8,
                    "gate": None if left == 1 else 3 * left,
                    "next_gate": 0.3,
                    "next_gate_on_axis": -1.2,
                    "loss_axis": "ln(loss)",
                    "loss_auc": 0.8,
                    **mixture_record(),
                }.items()
            },
        },
        "ssrl": {
            "clusters": round(100 - 30 * share),
            "labels_changed": 0.3 * left,
            "nmi": 0.8 + 0.1 * share,
            "accuracy": 60 + 20 * share,
            "purity": 80 + 10 * share,
            "clean_prob": 0.6 + 0.3 * share,
            "queue_agreement": 0.7 + share / 4,
            "teacher_student_agreement": 0.6 + share / 4,
            "cluster_size_quantiles": [1, 4, 9, 20, 80 + round(70 * share)],
            "proxy_eer": 12 - 4 * share,
            **mixture_record(),
        },
    }[stage]


STAGES = (
    "contrastive",
    "dino",
    "ca_dino",
    "iterative",
    "dlg_lc",
    "audio_visual",
    "ssrl",
    "finetune",
)


def history_of(stage, epochs, verified=True):
    """Records of the epochs of a stage."""
    records = []
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        record = {"epoch": epoch, "lr": 0.1 * (1.01 - share), "loss": 3 / epoch}
        record |= stage_values(stage, share)
        record["seconds"] = 10.0
        if verified:
            for network in ("student", "teacher"):
                record[f"eer_{network}"] = 20 / epoch**0.5
                record[f"min_dcf_0.05_{network}"] = 0.9 - share / 4
        records.append(record)
    return records


def make_run(
    folder, history, encoder=None, labels=None, epochs=None, finished=True
):
    """Output folder of a stage; returns it."""
    folder.mkdir(parents=True)
    lines = "".join(json.dumps(record) + "\n" for record in history)
    write_text(folder / "history.jsonl", lines)
    write_text(
        folder / "hyperparams.yaml",
        HYPERPARAMS.format(
            folder=folder,
            prepared=folder.parent / "prepared",
            encoder=encoder or "",
            labels=labels or "",
            epochs=epochs or len(history),
        ),
    )
    write_text(folder / "log.txt", "2026-01-01 10:00:00,000 - a.b - INFO - x\n")
    if finished:
        (folder / "export").mkdir()
    return folder


def add_scores(run, name="veri_test", seed=0, distance=2.0, trials=400):
    """Scores of a trial list, and metrics of no importance."""
    generator = np.random.default_rng(seed)
    labels = np.arange(trials) % 2
    scores = 0.3 * generator.standard_normal(trials) + 0.3 * distance * labels
    write_text(
        run / f"verify/scores/{name}.txt",
        "".join(
            f"{score:.6f} {label} a b\n"
            for score, label in zip(scores, labels, strict=True)
        ),
    )
    metrics = {
        "eer": 10.0,
        "min_dcf_0.05": 0.5,
        "min_dcf_0.01": 0.6,
        "intervals": {"eer": [8.5, 11.25]},
        "intervals_by": "speaker",
        "trials": {"all": trials, "repeated": 2, "missing": 0},
        "as_norm": {"eer": 9.0, "intervals": {"eer": [7.5, 10.0]}},
        "encoder": "abc",
    }
    write_json(run / "verify/metrics.json", {name: metrics})


def add_labels(run, ids=None, source=None):
    """Pseudo labels after a stage, of 60 utterances in 7 clusters."""
    ids = ids or [f"id{i:05d}/s{i % 3}/0" for i in range(60)]
    generator = np.random.default_rng(1)
    rows = "".join(
        f'"{name}",{row % 7},{generator.uniform(0, 1):.4f},{int(row % 9 > 0)}\n'
        for row, name in enumerate(ids)
    )
    text = "ID,pseudo_label,distance,keep\n" + rows
    write_text(run / "clusters/pseudo_labels.csv", text)
    write_json(run / "clusters/source.json", source or {"seed": 1})


def add_prepared(folder, excluded=()):
    """The prepared folder of a chain."""
    write_json(
        folder / "prepared/prepared.json",
        {
            "made_from": {"data_folder": "/data/a & b", "noise": "abc"},
            "counts": {
                "train": 60,
                "train hours": 0.5,
                "train sessions": 30,
                "test": 6,
                "test speaker": 0,
                "left out": {},
                "trials": {"veri_test": 400},
                "duplicate trials": {"veri_test": 2},
            },
        },
    )
    rows = "".join(f'"{path}","{why}"\n' for path, why in excluded)
    write_text(folder / "prepared/excluded.csv", "path,reason\n" + rows)


def make_chain(folder, epochs=4):
    """A finished chain of all stages, with names that try to be HTML."""
    names, before = [], None
    for number, stage in enumerate(STAGES):
        start = f"{folder}/{before}/export" if before else None
        run = make_run(folder / stage, history_of(stage, epochs), encoder=start)
        if stage in ("dino", "ssrl"):
            add_scores(run, seed=number, distance=2 + number / 4)
            add_labels(run, [f"{EVIL}{i}" for i in range(60)])
        names.append(stage)
        before = stage
    add_prepared(folder, [(EVIL, "silent"), ("b.wav", "too short: 0.2 s")])
    write_json(
        folder / "metrics.json",
        {
            "title": f"All stages {EVIL}",
            "stages": [
                {"name": name, "eer": 9.5, "clusters": 7, "seconds": 40.0}
                for name in names
            ],
            "paper": {"dino": {"eer": 2.94, "clusters": 8000}},
        },
    )
    return folder
