"""One limiter per API key: paces requests by what Kombo says is left, and holds everybody back after a 429.

Kombo counts requests per key and minute and says with every answer how many are left until when. All clients and
threads of a process share one limiter per key and region. While there is plenty it costs nothing. When the budget gets
short, the rest is spread over the rest of the window, so that nobody runs into a 429.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping

from tasks.kombo.answers import seconds

SHORT = 0.2  # below this share of the budget, spread what is left
LONGEST = 3600.0  # seconds; a reset further away than this is not believed
BUSY_PAUSE = 1.0  # seconds to leave an integration alone that has no slot for another action


class Limiter:
    """What is known about one key's budget. Thread-safe; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limit = 0
        self._remaining: int | None = None
        self._reset_at = 0.0
        self._sent_at = 0.0
        self._next_at = 0.0
        self._held_until = 0.0
        self._in_flight = 0
        self._busy_until: dict[str, float] = {}

    def take(self, now: float, action_on: str | None = None) -> float:
        """Ask to send a request.

        Args:
            now: The present.
            action_on: The integration, if the request is an action and so takes one of its slots.

        Returns:
            0 if the request may go, which then counts until `give_back`; else the seconds after which to ask again.
        """
        with self._lock:
            if now >= self._reset_at:
                self._remaining = None
                self._next_at = 0.0
            ready_at = max(self._held_until, self._next_at)
            if self._remaining is not None and self._remaining < 1:
                ready_at = max(ready_at, self._reset_at)
            if action_on is not None:
                ready_at = max(ready_at, self._busy_until.get(action_on, 0.0))
            if ready_at > now:
                return ready_at - now
            self._in_flight += 1
            self._sent_at = now
            if self._remaining is not None:
                self._remaining -= 1
                self._spread(now)
            return 0.0

    def give_back(self, now: float, headers: Mapping[str, str] | None = None, action_on: str | None = None) -> None:
        """Report that a request has ended.

        Args:
            now: The present.
            headers: Of its answer; None if there was none.
            action_on: As for `take`.
        """
        with self._lock:
            self._in_flight -= 1
            if headers is None:
                return
            limit, remaining, reset = (
                seconds(headers.get(f"ratelimit-{part}")) for part in ("limit", "remaining", "reset")
            )
            if limit and remaining is not None and reset is not None and reset <= LONGEST:
                self._limit = int(limit)
                self._reset_at = now + reset
                # The server may not have seen those still on their way.
                self._remaining = int(remaining) - self._in_flight
                self._next_at = 0.0
                self._spread(now)
            if action_on is not None:
                slots = seconds(headers.get("concurrency-remaining"))
                if slots is not None and slots < 1:
                    self._busy_until[action_on] = now + BUSY_PAUSE
                elif slots is not None:
                    self._busy_until.pop(action_on, None)

    def hold(self, until: float) -> None:
        """Let nobody send before `until`."""
        with self._lock:
            self._held_until = max(self._held_until, until)

    def _spread(self, now: float) -> None:
        """With a short budget, say when the next request may go."""
        if self._remaining is not None and 0 < self._remaining < self._limit * SHORT:
            self._next_at = self._sent_at + (self._reset_at - now) / self._remaining


_limiters: dict[str, Limiter] = {}
_limiters_lock = threading.Lock()


def shared_limiter(api_key: str, base_url: str) -> Limiter:
    """Return the process's limiter of a key in a region.

    Args:
        api_key: Kept only as a hash.
        base_url: The region.

    Returns:
        The same limiter whenever both are the same.
    """
    digest = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()
    with _limiters_lock:
        return _limiters.setdefault(digest, Limiter())
