"""What Kombo's `data-changed` webhook says has changed: which collections show it, and what waits to be exported."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tasks.kombo.collections import COLLECTIONS, Collection

MOST_REMEMBERED = 10_000  # ids of messages
MOST_WAITING = 10_000  # integrations
LONGEST_WAIT = 24 * 60 * 60  # seconds; a nightly export has brought it since

_log = logging.getLogger(__name__)

MODELS: Mapping[Collection, frozenset[str]] = MappingProxyType(
    {
        "applications": frozenset(
            {
                *("ats_applications", "ats_application_stages", "ats_candidates", "ats_interviews", "ats_jobs"),
                *("ats_offers", "ats_tags", "ats_join_candidates_tags"),
            }
        ),
        "candidates": frozenset(
            {
                *("ats_candidates", "ats_application_stages", "ats_applications", "ats_jobs", "ats_tags"),
                "ats_join_candidates_tags",
            }
        ),
        "jobs": frozenset(
            {
                *("ats_jobs", "ats_application_stages", "ats_job_postings", "ats_screening_questions", "ats_users"),
                *("ats_join_jobs_application_stages", "ats_join_jobs_screening_questions", "ats_join_jobs_users"),
                "ats_join_user_job_role_assignments",
            }
        ),
        "application_stages": frozenset({"ats_application_stages"}),
        "tags": frozenset({"ats_tags"}),
        "users": frozenset({"ats_users", "ats_join_users_roles", "ats_join_user_job_role_assignments"}),
        "roles": frozenset({"ats_roles"}),
        "offers": frozenset({"ats_offers", "ats_applications", "ats_candidates", "ats_jobs"}),
        "rejection_reasons": frozenset({"ats_rejection_reasons"}),
        "interviews": frozenset(
            {
                *("ats_interviews", "ats_applications", "ats_candidates", "ats_jobs", "ats_users"),
                "ats_join_interviews_users",
            }
        ),
    }
)
"""The models that a collection's rows show, by the names that the webhook uses: nested records are of other models."""


def affected(models: Iterable[str]) -> list[Collection]:
    """Return the collections to export.

    Args:
        models: Names of changed models. Those that are not known are ignored: Kombo adds new ones, and has some of
            other categories than recruiting.

    Returns:
        Each once, in the order of the table of collections.
    """
    changed = set(models)
    return [collection for collection in COLLECTIONS if changed & MODELS[collection]]


@dataclass(slots=True)
class Change:
    """What changed of an integration, or, in the last event of a receiver that ends, of several.

    Attributes:
        integrations: Their ids.
        collections: Those to export.
        first: When it was first heard of; seconds of the inbox's clock.
        last: When it was last heard of.
    """

    integrations: list[str]
    collections: set[Collection]
    first: float
    last: float

    def parameters(self) -> dict[str, list[str]]:
        """Return what the event carries, and the run takes."""
        return {"integrations": self.integrations, "collections": [c for c in COLLECTIONS if c in self.collections]}


class Inbox:
    """What has changed and was not emitted yet. A burst of an integration becomes one change.

    Args:
        quiet: Seconds without news of an integration after which its burst is over.
        longest: Seconds after which it is in any case.
        clock: Seconds that never go back.
    """

    def __init__(self, quiet: float = 20, longest: float = 300, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet, self._longest, self._clock = quiet, longest, clock
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._waiting: dict[str, Change] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def seen(self, message: str) -> bool:
        """Whether a message came before. Kombo signs no time, so only its id tells."""
        return message in self._seen

    def add(self, message: str, integration: str, collections: Iterable[Collection]) -> bool:
        """Take a message.

        Args:
            message: Its id, which is remembered.
            integration: Whose data changed.
            collections: Which of them.

        Returns:
            Whether there was room.
        """
        if integration not in self._waiting and len(self._waiting) >= MOST_WAITING:
            return False
        now = self._clock()
        self._merge(Change([integration], set(collections), now, now))
        self._seen[message] = None
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def take(self) -> Change | None:
        """Take out a change whose burst is over. Whatever has waited for too long is dropped."""
        now = self._clock()
        for integration, change in list(self._waiting.items()):
            if now - change.first > LONGEST_WAIT:
                del self._waiting[integration]
                _log.error("%s: given up after a day; the nightly export brings it", integration)
            elif now - change.last >= self._quiet or now - change.first >= self._longest:
                return self._waiting.pop(integration)
        return None

    def take_all(self) -> Change | None:
        """Take out everything as one change, which is then of a little more than what changed."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        if not waiting:
            return None
        integrations = [one for change in waiting for one in change.integrations]
        collections = set[Collection]().union(*(change.collections for change in waiting))
        return Change(integrations, collections, min(one.first for one in waiting), max(one.last for one in waiting))

    def put_back(self, change: Change) -> None:
        """Undo `take`: it waits with what has come since, behind all others."""
        self._merge(change)

    def _merge(self, change: Change) -> None:
        integration = change.integrations[0]
        other = self._waiting.setdefault(integration, change)
        other.collections |= change.collections
        other.first, other.last = min(other.first, change.first), max(other.last, change.last)
