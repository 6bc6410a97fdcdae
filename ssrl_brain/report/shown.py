"""Which panels and values of a history are shown, so that none is hidden."""

from collections import Counter

from ssrl_brain.report.panels import PLOTTED, Panel

NOT_PLOTTED = {"epoch", "seconds", "mean_entropy_share"}


def panels_of(history, panels):
    """Panels of which a history has at least two values to draw a line.

    Example
    -------
    >>> from ssrl_brain.report.panels import TRAINING
    >>> history = [{"epoch": 1, "lr": 0.1, "eer_student": 9}, {"lr": 0.2}]
    >>> [p.title for p in panels_of(history, TRAINING)]
    ['Learning rate']
    """
    times = Counter(k for r in history for k, v in r.items() if v is not None)
    return [
        panel
        for panel in panels
        if max((times[key] for key in panel.keys), default=0) > 1
    ]


def logged_once(history):
    """{key: value} of numbers that only one of several epochs has.

    Example
    -------
    >>> logged_once([{"epoch": 1, "eer_student": 9.5}, {"epoch": 2, "lr": 0.2}])
    {'eer_student': 9.5, 'lr': 0.2}
    """
    values = {}
    for record in history:
        for key, value in record.items():
            if isinstance(value, (int, float)) and key not in NOT_PLOTTED:
                values.setdefault(key, []).append(value)
    return {key: found[0] for key, found in values.items() if len(found) == 1}


def other_panels(history):
    """Panels of numbers that no group knows, so that nothing is hidden.

    Example
    -------
    >>> history = [{"epoch": 1, "margin": 0.2}, {"epoch": 2, "margin": 0.3}]
    >>> [p.title for p in other_panels(history)]
    ['margin']
    """
    keys = dict.fromkeys(
        key
        for record in history
        for key, value in record.items()
        if isinstance(value, (int, float))
        and key not in PLOTTED | NOT_PLOTTED
        and not key.startswith("min_dcf_")
    )
    panels = [Panel(key, key, {key: key}, "As logged.") for key in keys]
    return panels_of(history, panels)
