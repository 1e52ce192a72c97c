"""Time and chance, in one replaceable object: whoever waits or jitters asks it, so that a test need not wait."""

from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime


class Clock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The time of day in UTC."""
        return datetime.now(UTC)

    def jitter(self, upper: float) -> float:
        """A random number of seconds from 0 to `upper`."""
        return random.uniform(0, upper)  # noqa: S311 - spreads load, guards nothing

    def wait(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Wait; return early once `stop` is set."""
        if seconds <= 0:
            return
        if stop is None:
            time.sleep(seconds)
        else:
            stop.wait(seconds)
