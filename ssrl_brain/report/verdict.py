"""What a report comes to, in one paragraph and a few things to do."""

from ssrl_brain.evaluation.tables import with_interval
from ssrl_brain.handover.label_folder import read_label_table
from ssrl_brain.report import numbers
from ssrl_brain.report.overview import warnings
from ssrl_brain.report.page import Html, joined, tag
from ssrl_brain.system.files import read_json


def verdict(chain):
    """The paragraph at the top.

    Arguments
    ---------
    chain : Chain

    Returns
    -------
    Html
    """
    count, _ = warnings(chain)
    sentences = [state(chain.runs), errors(chain.runs)]
    runs = reversed(without_speakers(chain.runs))
    last = next((run for run in runs if run.label_folder), None)
    if last is not None:
        sentences.append(suggested(chain.runs))
        sentences.append(clustering(last))
    if count == 1:
        sentences.append("There is a warning, read it first.")
    elif count:
        sentences.append(f"There are {count} warnings, read them first.")
    return joined(
        tag("p", " ".join(filter(None, sentences)), class_="verdict"),
        next_steps(chain, last),
    )


def state(runs):
    """Which stages are finished.

    Example
    -------
    >>> state([])
    'All 0 stages are finished.'
    """
    open_ones = [r.name for r in runs if not (r.folder / "export").is_dir()]
    if open_ones:
        return f"Not finished: {', '.join(open_ones)}."
    if len(runs) == 1:
        return "The stage is finished."
    return f"All {len(runs)} stages are finished."


def without_speakers(runs):
    """Those that never saw a true speaker; all, if all of them did."""
    return [run for run in runs if not run.reads_speakers] or runs


def errors(runs):
    """How error rates moved, by trial list, or else by the proxy."""
    lists = dict.fromkeys(name for run in runs for name in run.verified)
    if lists:
        return " ".join(error_sentence(name, runs) for name in lists)
    texts = [proxy_sentence(run) for run in runs]
    return (
        "No trial list was given, so nothing here says how often the model "
        "takes two speakers for one. " + " ".join(filter(None, texts))
    )


def error_sentence(name, runs):
    """From the first stage to the last, and whether that is certain.

    What learnt from true speakers is told apart: no outcome, but a measure.
    """
    every = [run for run in runs if name in run.verified]
    scored = without_speakers(every)
    told = [
        f"{run.verified[name]['eer']:.3g} % ({run.name})"
        for run in every
        if run not in scored
    ]
    taught = f" Learnt from true speakers: {', '.join(told)}." if told else ""
    rates = [run.verified[name]["eer"] for run in scored]
    ranges = [
        run.verified[name].get("intervals", {}).get("eer") for run in scored
    ]
    last = f"{with_interval(rates[-1], ranges[-1])} % ({scored[-1].name}"
    if ranges[-1]:
        last += f"; 95 %: {ranges[-1][0]:.3g} to {ranges[-1][1]:.3g}"
    if len(scored) == 1:
        return f"On {name}, the equal error rate is {last}).{taught}"
    first = f"{with_interval(rates[0], ranges[0])} % ({scored[0].name})"
    moved = "fell" if rates[-1] < rates[0] else "did not fall: it went"
    text = f"On {name}, the equal error rate {moved} from {first} to {last})"
    if ranges[0] and ranges[-1] and ranges[-1][1] >= ranges[0][0]:
        text += ", by no more than other test speakers might change it"
    return f"{text}.{taught}"


def proxy_sentence(run):
    """How the error without labels moved, and which epoch was exported."""
    epochs, values = numbers.series(run.history, "proxy_eer")
    if not len(values):
        return ""
    text = (
        f"In {run.name}, two crops of a recording were confused with crops of "
        f"others in {values[0]:.3g} % of the cases after epoch {epochs[0]} and "
        f"in {values[-1]:.3g} % after epoch {epochs[-1]}"
    )
    exported = read_json(run.folder / "export" / "metrics.json") or {}
    if "epoch" in exported:
        text += f"; epoch {exported['epoch']} was exported"
    return text + "."


def suggested(runs):
    """How many speakers the embeddings of a stage looked like, if asked."""
    for run in reversed(runs):
        source = {}
        if run.label_folder is not None:
            source = read_json(run.label_folder / "source.json") or {}
        if found := source.get("suggestion"):
            return (
                f"The embeddings of {run.name} look like about "
                f"{found['speakers']:,} speakers of several utterances each, "
                f"and {found['num_clusters']:,} clusters were made."
            )
    return ""


def clustering(run):
    """How many clusters there are, and of what."""
    ids, labels, distances, _ = read_label_table(run.label_folder)
    found = numbers.clusters_of(labels, distances)
    text = (
        f"The {len(ids):,} training utterances are in {len(found.sizes):,} "
        "clusters."
    )
    if "nmi" in run.row:
        seen = "learnt from" if run.reads_speakers else "never saw"
        return text + (
            f" By true speakers, which training {seen}: NMI "
            f"{run.row['nmi']:.3f}, purity {run.row['purity']:.3g} %."
        )
    return text + " Whether they are speakers, only listening tells."


def next_steps(chain, labelled):
    """What to look at, as a list."""
    steps = []
    outcome = read_json(chain.folder / "outcome.json") or {}
    if labelled is not None:
        anchor = f"stage-{chain.runs.index(labelled)}-0"
        steps.append(
            joined(
                tag("a", "Listen to the doubtful clusters", href=f"#{anchor}"),
                ": where they hold several speakers, a larger --num_clusters "
                "helps; where one speaker fills several of the largest, a "
                "smaller one.",
            )
        )
    if outcome.get("threshold") is not None:
        steps.append(
            f"A score above {outcome['threshold']:.2f} means one speaker, as "
            "far as the clusters can tell; choose the threshold on pairs that "
            "you know."
        )
    if "clusters" in outcome:
        steps.append(f"Every file with its cluster: {outcome['clusters']}.")
    if not any(run.verified for run in chain.runs):
        steps.append(
            "With a list of pairs that you know, --trial_lists=list.txt adds "
            "error rates."
        )
    return tag("ul", *(tag("li", x) for x in steps)) if steps else Html("")
