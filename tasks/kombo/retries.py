"""How long to wait before a request is sent again, if at all: one pure function.

Whether a repeat is *allowed* is the operation's class (`Repeat`); the client combines both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tasks.kombo.errors import BadAnswer, KomboError, RateLimited, TryLater

Repeat = Literal["read", "safe", "unsafe"]
"""Whether an operation may be sent again after it may have run: a read, a write that changes nothing the second time,
or a write that does it twice."""

CAP = 60.0  # seconds; the longest wait that nobody asked for


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is tried.

    Attributes:
        tries: How often it is sent at most.
        total: Seconds after which it is not sent again, counted from the first try.
    """

    tries: int
    total: float


PATIENCE: dict[Repeat, Patience] = {
    "read": Patience(tries=6, total=300),
    "safe": Patience(tries=4, total=900),
    "unsafe": Patience(tries=8, total=600),  # only what did not run; waiting for a free slot may take a while
}


def pause(error: KomboError, tries: int, patience: Patience, jitter: Callable[[float], float]) -> float | None:
    """Decide whether and when to send again what failed.

    Args:
        error: How it failed.
        tries: How often it was sent.
        patience: How long to go on.
        jitter: A random number of seconds from 0 to its argument.

    Returns:
        Seconds to wait, or None to give up.
    """
    if not isinstance(error, TryLater | BadAnswer) or tries >= min(patience.tries, _most(error)):
        return None
    told = error.retry_after if isinstance(error, TryLater) else None
    if told:
        # As told, and a little more, so that those who were told the same do not all come back at once.
        return told + jitter(min(1.0, told / 10))
    first = 5.0 if isinstance(error, RateLimited) else 1.0
    return jitter(min(CAP, first * 2 ** (tries - 1)))


def _most(error: KomboError) -> int:
    """How often to try at most, for errors that seldom pass."""
    if error.code == "PLATFORM.UNKNOWN_ERROR":
        return 2
    return 3 if isinstance(error, BadAnswer) else 1000
