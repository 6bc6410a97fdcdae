"""Which values of the log are drawn together, and what they mean."""

from typing import NamedTuple


class Panel(NamedTuple):
    """One small figure of values over epochs.

    ``keys`` maps keys of the log to their names in the legend; ``scale``
    multiplies the values, 100 for shares shown in per cent.
    """

    title: str
    unit: str
    keys: dict
    note: str
    scale: float = 1.0

    @property
    def from_zero(self):
        """Whether its axis begins at 0: rates, costs and counts do."""
        rates = self.unit.endswith("%") and self.unit != BY_CHANCE_HALF
        return rates or self.unit in FROM_ZERO


BY_CHANCE_HALF = "pairs, %"
FROM_ZERO = (
    "minDCF(0.05)",
    "learning rate",
    "clusters",
    "utterances",
    "mean probability",
    "seconds",
    "norm",
)


TRAINING = (
    Panel("Training loss", "loss, nats", {"loss": "loss"}, "Mean of an epoch."),
    Panel("Learning rate", "learning rate", {"lr": "lr"}, "End of an epoch."),
    Panel(
        "Equal error rate",
        "EER, %",
        {"eer_student": "student", "eer_teacher": "teacher"},
        "On the trial list that training validates with.",
    ),
    Panel(
        "Detection cost at a prior of 0.05",
        "minDCF(0.05)",
        {"min_dcf_0.05_student": "student", "min_dcf_0.05_teacher": "teacher"},
        "1 is no better than always giving the same answer.",
    ),
    Panel(
        "Proxy without labels",
        "EER of the proxy, %",
        {"proxy_eer": "proxy"},
        "Two crops of an utterance against crops of other clusters.",
    ),
)
HEALTH = (
    Panel(
        "Entropy of the teacher",
        "entropy, nats",
        {"teacher_entropy": "of a sample", "mean_entropy": "of the mean"},
        "The first falls as the teacher makes up its mind. The second near 0: "
        "one prototype for everything. Both near ln K: undecided.",
    ),
    Panel(
        "Teacher and student",
        "nats",
        {"teacher_student_kl": "KL divergence", "information": "information"},
        "KL is what the student still has to learn; information is what "
        "prototypes tell about a sample, 0 after a collapse.",
    ),
    Panel("Centre", "norm", {"center_norm": "centre"}, "Length of the centre."),
    Panel(
        "Prototypes in use",
        "prototypes, %",
        {"prototypes_used": "used"},
        "Share of prototypes that were the likeliest of some sample.",
        100,
    ),
    Panel(
        "Spread of embeddings",
        "spread",
        {"embedding_spread": "spread"},
        "1: evenly in all directions; 0: all the same.",
    ),
    Panel(
        "Prototypes read as labels",
        "NMI",
        {"probe_nmi": "likeliest", "probe_nmi_pair": "two likeliest"},
        "Agreement with true speakers, which training never sees.",
    ),
)
LABELS = (
    Panel(
        "Clusters",
        "clusters",
        {"clusters": "with utterances"},
        "Clusters that have utterances.",
    ),
    Panel(
        "Agreement with true speakers",
        "NMI",
        {"nmi": "NMI"},
        "1: clusters and speakers are the same.",
    ),
    Panel(
        "Quality of the labels",
        "%",
        {"accuracy": "accuracy", "purity": "purity"},
        "Accuracy under the best matching of clusters and speakers; mean "
        "share of a cluster's largest speaker.",
    ),
    Panel(
        "Labels that changed",
        "labels, %",
        {"labels_changed": "changed"},
        "Since the epoch before.",
        100,
    ),
    Panel(
        "Clean probability",
        "mean probability",
        {"clean_prob": "clean"},
        "Mean weight of the labels in the loss.",
    ),
    Panel(
        "Agreement",
        "utterances, %",
        {
            "queue_agreement": "inside the queue",
            "teacher_student_agreement": "teacher and student",
        },
        "Seen without any true label.",
        100,
    ),
    Panel(
        "Largest cluster",
        "utterances",
        {"largest_cluster": "largest"},
        "Size of the largest cluster.",
    ),
    Panel(
        "Cost of clustering",
        "seconds",
        {"cluster_seconds": "clustering"},
        "Embedding and clustering of the corpus during training.",
    ),
)
GATE = (
    Panel(
        "Loss gate",
        "loss, nats",
        {
            "gate": "in force",
            "next_gate": "of the next epoch",
            "gate_audio": "audio, in force",
            "next_gate_audio": "audio, next epoch",
            "gate_visual": "visual, in force",
            "next_gate_visual": "visual, next epoch",
        },
        "Labels with a smaller loss are trusted. Open (no line) where every "
        "label is.",
    ),
    Panel(
        "What the gate did",
        "utterances, %",
        {
            "passed": "passed",
            "corrected": "corrected",
            "dropped": "dropped",
            "agreed": "agreed",
            "corrected_audio": "corrected, audio",
            "dropped_audio": "dropped, audio",
            "corrected_visual": "corrected, visual",
            "dropped_visual": "dropped, visual",
        },
        "Shares of all utterances. Agreed: speech and faces, stopped by a "
        "gate, predict the same label.",
        100,
    ),
    Panel(
        "Right labels among them",
        "right, %",
        {
            "right": "all labels",
            "right_passed": "passed",
            "right_before_correction": "before correction",
            "right_corrected": "corrected",
            "right_dropped": "dropped",
            "right_before_agreed": "before agreement",
            "right_agreed": "agreed",
            "right_corrected_audio": "corrected, audio",
            "right_corrected_visual": "corrected, visual",
        },
        "By true speakers, which training never sees: is what passed purer, "
        "is what was corrected better than before?",
        100,
    ),
    Panel(
        "Recall of the gate",
        "right labels, %",
        {"right_recall": "passed"},
        "Share of all right labels that passed.",
        100,
    ),
    Panel(
        "What each gate alone would pass",
        "utterances, %",
        {"below_gate_audio": "audio", "below_gate_visual": "visual"},
        "An utterance passes if both let it through.",
        100,
    ),
    Panel(
        "Right labels below each gate",
        "right, %",
        {
            "right_below_gate_audio": "audio",
            "right_below_gate_visual": "visual",
            "right_passed": "both",
        },
        "By true speakers: do both together know better than each alone?",
        100,
    ),
)
NOISE = (
    Panel(
        "Can the loss tell right from wrong labels?",
        BY_CHANCE_HALF,
        {
            "loss_auc": "wrong label has the larger loss",
            "loss_auc_audio": "of audio",
            "loss_auc_visual": "of visual",
        },
        "Of a right and a wrong label, by true speakers; at 50 % it cannot.",
        100,
    ),
)
GROUPS = {
    "Training": TRAINING,
    "Health of DINO": HEALTH,
    "Loss gate": GATE,
    "Pseudo labels (SSRL, Fig. 4)": LABELS + NOISE,
}
PLOTTED = {
    key for panels in GROUPS.values() for panel in panels for key in panel.keys
}
