"""The card that goes with a published encoder, from what its run left."""

import numpy as np
from huggingface_hub import EvalResult, ModelCardData

from ssrl_brain.evaluation.metrics import eer, min_dcf
from ssrl_brain.evaluation.tables import (
    FIGURES,
    markdown_table,
    verification_row,
    with_figures,
)

CARD = """---
{front_matter}
---

# Speaker embeddings learnt {how} labels

{method}

{encoder}

```python
from speechbrain.inference.speaker import SpeakerRecognition
model = SpeakerRecognition.from_hparams(source="{repo_id}")
score, _ = model.verify_files("one.wav", "two.wav")
same_speaker = score.item() > {threshold}
```

## Threshold

{thresholds}
{calibration}
The second value that `verify_files` returns compares the score with 0.25,
which was chosen for another model: do not use it.

## Training data

{data}

{chain}

## Figures

{figures}

## Intended use and limits

To compare voices in speech that resembles the training data: verification,
search, clustering. The score is a cosine, not a probability. Error rates grow
with other languages, channels, noise and shorter utterances than those in the
tables, and a threshold has to be chosen again for them. How the rates differ
between groups of people has not been measured. Not for decisions about people
by itself, nor for identifying anyone without their consent.

## Licence and citation

{license}. Made with ssrl_brain on SpeechBrain.

```
{citation}
```
"""

SPEECHBRAIN = """@misc{speechbrain, title={{SpeechBrain}: A General-Purpose Speech Toolkit},
  author={Ravanelli, Mirco and others}, year={2021},
  note={arXiv:2106.04624}}"""


def thresholds(score_file):
    """Thresholds worth a choice, with the error rates at each.

    Arguments
    ---------
    score_file : str or Path
        Lines "score label enrolment test" of ``verify.py``.

    Returns
    -------
    list of dict
        For the equal error rate, and for the lowest costs at priors of 0.05
        and 0.01; rates in per cent. A trial is accepted above the threshold.

    Example
    -------
    >>> path = getfixture("tmp_path") / "list.txt"
    >>> _ = path.write_text("0.9 1 a b\\n0.2 1 a c\\n0.4 0 a d\\n0.1 0 b d\\n")
    >>> thresholds(path)[1]["threshold"], thresholds(path)[1]["missed %"]
    (0.4, 50.0)
    """
    with open(score_file, encoding="utf-8") as file:
        values = [line.split()[:2] for line in file]
    scores, labels = np.array(values, dtype=np.float64).T
    sides = scores[labels == 1], scores[labels == 0]
    chosen = {
        "as many misses as false alarms": eer(*sides)[1],
        "lowest cost, 5 % of trials of one speaker": min_dcf(*sides, 0.05)[1],
        "lowest cost, 1 % of trials of one speaker": min_dcf(*sides, 0.01)[1],
    }
    return [
        {
            "chosen for": purpose,
            "threshold": threshold,
            "missed %": 100 * float((sides[0] <= threshold).mean()),
            "false alarms %": 100 * float((sides[1] > threshold).mean()),
        }
        for purpose, threshold in chosen.items()
    ]


def evaluation_results(metrics):
    """Figures of ``verify.py`` in the form in which the hub indexes them."""
    return [
        EvalResult(
            task_type="speaker-verification",
            dataset_type=name,
            dataset_name=name,
            metric_type=key,
            metric_name=title,
            metric_value=round(figures[key], 4),
        )
        for name, figures in metrics.items()
        for key, title in FIGURES.items()
        if key in figures
    ]


def model_card(
    repo_id,
    license,
    run=None,
    data=None,
    metrics=None,
    choices=None,
    encoder=None,
    language=None,
):
    """Text of the ``README.md`` of a published encoder.

        Arguments
        ---------
        repo_id : str
        license : str
            Identifier of the hub, such as apache-2.0.
        run : dict, optional
            See ``describe_run``.
        data : str, optional
            See ``describe_data``.
        metrics : dict, optional
            ``metrics.json`` of ``verify.py``.
        choices : list of dict, optional
            See ``thresholds``; of the list ``with_figures``.
    encoder : dict, optional
        See ``describe_encoder``.
    language : str or list of str, optional
        Codes such as "en".

        Returns
        -------
        str

        Example
        -------
        >>> card = model_card("me/voices", "apache-2.0")
        >>> "from_hparams(source=\\"me/voices\\")" in card, "THRESHOLD" in card
        (True, True)
    """
    run = run or UNKNOWN_RUN
    front_matter = ModelCardData(
        license=license,
        library_name="speechbrain",
        pipeline_tag="feature-extraction",
        language=language,
        tags=["speechbrain", "embeddings", "speaker-verification"]
        + ([] if run["with_labels"] else ["self-supervised"]),
        model_name=repo_id.split("/")[-1],
        eval_results=evaluation_results(metrics or {}) or None,
    )
    threshold, chosen, figures = "THRESHOLD", UNCHOSEN, "Not measured."
    if metrics:
        figures = markdown_table(
            [verification_row(*item) for item in metrics.items()]
        )
    if choices:
        name = with_figures(metrics)
        threshold = f"{choices[0]['threshold']:.4f}"
        chosen = f"Error rates on the list {name}, on which they were chosen:"
        chosen += "\n\n" + markdown_table(choices)
        by = metrics[name]["intervals_by"]
        figures += f"\n\nIn brackets: 95 % of draws of the test {by}s."
    return CARD.format(
        front_matter=front_matter.to_yaml().strip(),
        how="with" if run["with_labels"] else "without",
        method=run["text"],
        encoder="\n".join(f"- {k}: {v}" for k, v in (encoder or {}).items()),
        chain=markdown_table(run["chain"]) if run.get("chain") else "",
        calibration=calibration_text(metrics),
        repo_id=repo_id,
        threshold=threshold,
        thresholds=chosen,
        data=data or "Not recorded.",
        figures=figures,
        license=license,
        citation="\n".join([*run["papers"], SPEECHBRAIN]),
    )


def calibration_text(metrics):
    """What a score says, where ``verify.py --calibrate`` was run.

    Example
    -------
    >>> found = {"list": "calls", "slope": 10.0, "offset": -4.0}
    >>> text = calibration_text({"calls": {"calibration": found}})
    >>> "10 * score - 4" in text, calibration_text(None)
    (True, '')
    """
    found = next(iter((metrics or {}).values()), {}).get("calibration")
    if not found:
        return ""
    sign = "-" if found["offset"] < 0 else "+"
    return CALIBRATED.format(
        list=found["list"],
        slope=found["slope"],
        sign=sign,
        offset=abs(found["offset"]),
    )


CALIBRATED = """
Calibrated on the list {list}: the natural logarithm of how much likelier a
score is under one speaker than under two is

    {slope:.4g} * score {sign} {offset:.4g}

Accept where it exceeds -ln(p / (1 - p)), p being how often you expect one
speaker.
"""
UNKNOWN_RUN = {
    "text": "The method was not recorded.",
    "with_labels": False,
    "papers": [],
}
UNCHOSEN = (
    "None was chosen: score trials of your own data with `verify.py`, or with "
    "the code above, and put one in the place of THRESHOLD."
)
