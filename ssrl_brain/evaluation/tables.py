"""Results as tables that people read."""


def markdown_table(rows, title=""):
    """Rows as a Markdown table; numbers with four digits.

    Arguments
    ---------
    rows : list of dict
        A cell stays empty where a row lacks the column. "seconds" comes last.
    title : str
        Line above.

    Returns
    -------
    str

    Example
    -------
    >>> print(markdown_table([{"name": "dino", "eer": 9.5}], "Mini"))
    Mini
    <BLANKLINE>
    | name | eer |
    |---|---|
    | dino | 9.5 |
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns.sort(key=lambda key: key == "seconds")

    def cell(value):
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = [title, ""] if title else []
    lines += [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
    ]
    for row in rows:
        cells = [cell(row.get(key, "")) for key in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_interval(value, interval=None):
    """A figure with no more digits than its interval bears.

    Example
    -------
    >>> with_interval(13.888, [10.6, 16.9]), with_interval(2.9433, [2.93, 2.96])
    ('13.9', '2.943')
    """
    if interval and interval[1] - interval[0] < 0.02 * abs(value):
        return f"{value:.4g}"
    return f"{value:.3g}"


FIGURES = {
    "eer": "EER %",
    "min_dcf_0.05": "minDCF(0.05)",
    "min_dcf_0.01": "minDCF(0.01)",
}


def verification_row(name, metrics):
    """Row of a trial list: figures with their 95 % intervals.

    Arguments
    ---------
    name : str
    metrics : dict
        A list's entry in the ``metrics.json`` of ``verify.py``.

    Returns
    -------
    dict

    Example
    -------
    >>> eer = {"eer": 6.5, "min_dcf_0.05": 0.25, "min_dcf_0.01": 0.5}
    >>> metrics = {**eer, "intervals": {"eer": [5, 8.25]}}
    >>> verification_row("vox1_o", {**metrics, "trials": {"all": 9}})["EER %"]
    '6.5 (5 to 8.25)'
    >>> lacking = {"lacks": "trials of one speaker", "trials": {"all": 9}}
    >>> verification_row("vox1_o", lacking)["EER %"]
    'no trials of one speaker'
    """
    row = {"list": name, "trials": metrics["trials"]["all"]}
    for suffix, part in (("", metrics), (" as-norm", metrics.get("as_norm"))):
        for key, title in FIGURES.items() if part else ():
            if key not in part:
                row[title + suffix] = f"no {part['lacks']}"
                continue
            interval = part["intervals"].get(key)
            text = with_interval(part[key], interval)
            if interval:
                text += f" ({interval[0]:.3g} to {interval[1]:.3g})"
            row[title + suffix] = text
    if "calibration" in metrics:
        row["Cllr"] = float(metrics["calibration"]["cllr"])
        row["minCllr"] = float(metrics["calibration"]["min_cllr"])
    return row


def with_figures(metrics):
    """The first list of ``metrics`` that error rates came of, or None.

    Example
    -------
    >>> with_figures({"a": {"lacks": "trials of one speaker"}, "b": {"eer": 1}})
    'b'
    """
    return next((name for name, x in metrics.items() if "lacks" not in x), None)


def with_way(rows, first=None, last=None):
    """Adds ``way_%``: how far a row's EER is from one row's to another's.

    Only when both rows are there; a row that is better than the last has more
    than 100.

    Example
    -------
    >>> eers = {"untrained": 30.0, "ssrl": 16.0, "ceiling": 14.0}
    >>> rows = [{"name": name, "eer": eer} for name, eer in eers.items()]
    >>> with_way(rows, "untrained", "ceiling")
    >>> [row["way_%"] for row in rows]
    [0.0, 87.5, 100.0]
    """
    eers = {row["name"]: row["eer"] for row in rows if "eer" in row}
    if first not in eers or last not in eers or eers[first] == eers[last]:
        return
    for row in rows:
        gone = eers[first] - row["eer"]
        row["way_%"] = round(100 * gone / (eers[first] - eers[last]), 1)
