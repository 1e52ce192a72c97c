"""The log that people read with a run: Prefect shows what goes to a run's own logger, and nothing of other loggers."""

from __future__ import annotations

import logging

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger


def run_log(name: str) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """Find the logger to write to.

    Args:
        name: The module's, for where there is no run.

    Returns:
        The present task's or flow's logger; outside a run Python's of that name.
    """
    try:
        return get_run_logger()
    except MissingContextError:
        return logging.getLogger(name)
