"""What the console shows while a stage runs; the log file has the rest."""

import logging
from pathlib import Path

LOG_CONFIG = str(Path(__file__).parent / "log-config.yaml")


class OwnMessages(logging.Filter):
    """Lets pass what this package says, and what others warn of.

    Python's own warnings (a reading process more than there are processors,
    a deprecation in a library) stay in the log file.

    Example
    -------
    >>> def passes(name, level):
    ...     record = logging.LogRecord(name, level, "", 0, "text", (), None)
    ...     return OwnMessages().filter(record)
    >>> passes("ssrl_brain.training.log", logging.INFO)
    True
    >>> passes("speechbrain.core", logging.INFO), passes("speechbrain.core", 30)
    (False, True)
    >>> passes("py.warnings", logging.WARNING)
    False
    """

    def filter(self, record):
        """Whether a record is shown."""
        if record.name.split(".")[0] in ("ssrl_brain", "__main__"):
            return record.levelno >= logging.INFO
        return (
            record.levelno >= logging.WARNING and record.name != "py.warnings"
        )
