"""A day passes: some records come, change, go, or come back, always the same ones for the same seed."""

from typing import Any

from deployments.demo.changes import Changes
from deployments.demo.data import OFFER_STATUSES
from deployments.demo.jobs import DAY
from deployments.demo.store import Record, Row
from deployments.demo.values import WORDS, Dice, iso
from deployments.demo.world import Integration

KINDS = ("insert", "update", "delete", "anonymise", "remove", "undelete")
_LARGE = ("applications", "candidates", "jobs", "interviews", "offers")
_GROWING = (*_LARGE, "tags", "users")


class Evolution:
    """One round of changes.

    Args:
        integration: Whose records change.
        now: Unix time of the changes.
        nr: Number of the round; each picks other records.
        stale: Also change what other records hold copies of *without* counting as updated there: names of jobs, tags,
            stages and people, and tags of candidates. A reader of increments then has old copies, as with Kombo.
    """

    def __init__(self, integration: Integration, now: float, nr: int, *, stale: bool) -> None:
        self._integration = integration
        self._changes = Changes(integration, now)
        self._dice = Dice(f"{integration.id}/{nr}")
        self._now = now
        self._nr = nr
        self._stale = stale

    def run(
        self, share: float, kinds: tuple[str, ...], collections: tuple[str, ...]
    ) -> dict[str, dict[str, list[str]]]:
        """Change records.

        Args:
            share: Of each collection's records; at least one of each kind.
            kinds: Of ``KINDS``.
            collections: Which ones.

        Returns:
            Ids by collection and kind. Records that only embed a changed one are not listed.
        """
        done: dict[str, dict[str, list[str]]] = {}
        for collection in collections:
            size = len(self._integration.stores[collection])
            for kind in kinds:
                allowed = kind == "update" or (collection in _GROWING if kind == "insert" else collection in _LARGE)
                if not allowed and share < 1:
                    continue
                part = {"insert": 0.3, "update": 0.6}.get(kind, 0.1) if len(kinds) > 1 else 1.0
                ids = self._some(collection, kind, max(1, round(size * share * part)))
                done.setdefault(collection, {})[kind] = ids
        return done

    def _some(self, collection: str, kind: str, count: int) -> list[str]:
        changes = self._changes
        if kind == "insert":
            return [self._insert(collection) for _ in range(count)]
        store = self._integration.stores[collection]
        tombstone = kind in ("anonymise", "undelete")
        rows = [row for row in store if row.deleted == tombstone and not (kind == "undelete" and _is_empty(row))]
        if kind == "remove":  # both the living and the dead
            rows = list(store)
        chosen = self._dice.sample(rows, count)
        for row in chosen:
            match kind:
                case "update":
                    changes.update(collection, row, self._fields(collection, row.record()))
                case "delete":
                    changes.delete(collection, row)
                case "undelete":
                    changes.undelete(collection, row)
                case "anonymise":
                    changes.anonymise(collection, row)
                case "remove":
                    changes.remove(collection, row)
        return [row.id for row in chosen]

    def _living(self, collection: str) -> Row:
        rows = [row for row in self._integration.stores[collection].rows[-5000:] if row is not None and not row.deleted]
        return self._dice.pick(rows)

    def _insert(self, collection: str) -> str:
        builder, store = self._integration.builder, self._integration.stores[collection]
        nr = len(store.rows)
        match collection:
            case "candidates":
                record = builder.candidate(nr, age=0.5)
            case "jobs":
                record = builder.job(nr)
            case "applications":
                person, work = self._living("candidates").record(), self._living("jobs").record()
                record = builder.application(nr, person | {"tags": _listed(person["tags"])}, work, age=0.5)
            case "interviews":
                record = builder.interview(nr, self._living("applications").record())
            case "offers":
                record = builder.offer(nr, self._living("applications").record())
            case "tags":
                record = builder.base(str(1000 + nr), 1) | {"name": f"New tag {nr}"}
            case _:
                record = builder.base(str(70_000 + nr), 1) | {
                    "first_name": self._dice.pick(WORDS["first_names"]),
                    "last_name": self._dice.pick(WORDS["last_names"]),
                    "email": f"user.{nr}@corp.example.com",
                    "status": "ACTIVE",
                    "system_roles": [],
                }
        return self._changes.insert(collection, record).id

    def _fields(self, collection: str, record: Record) -> Record:
        """What changes in a record."""
        dice, now = self._dice, self._now
        seen: Record = {"remote_data": {"round": self._nr, "roll": dice.below(1000)}}
        match collection:
            case "applications":
                fields: Record = {
                    "remote_updated_at": iso(now - 60),
                    "custom_fields": dice.custom_fields(dice.below(999)),
                }
                if record["outcome"] == "PENDING" and dice.chance(0.3):
                    fields |= {"outcome": "DECLINED", "rejected_at": iso(now - 60)}
                    fields["rejection_reason_name"] = dice.pick(WORDS["reasons"])
                return fields
            case "candidates":
                fields = {"company": dice.pick(WORDS["companies"]), "source": dice.pick(WORDS["sources"])}
                fields["custom_fields"] = dice.custom_fields(dice.below(999))
                applications = self._changes.embedding("applications", "candidates", record["id"])
                copied = any(
                    self._changes.embedding(outer, "applications", row.id)
                    for outer in ("offers", "interviews")
                    for row in applications
                )
                if self._stale or not copied:
                    fields["last_name"] = dice.pick(WORDS["last_names"])
                if self._stale and record["tags"]:
                    fields["tags"] = []
                return fields
            case "jobs":
                fields = {"status": dice.pick(("OPEN", "CLOSED", "ARCHIVED")), "closed_at": iso(now + 30 * DAY)}
                fields["description"] = f"<p>Round {self._nr}</p>"
                return fields | ({"name": f"{dice.pick(WORDS['titles'])} ({self._nr})"} if self._stale else {})
            case "offers":
                return {"status": dice.pick(OFFER_STATUSES), "employment_start_date": iso(now // DAY * DAY + 60 * DAY)}
            case "interviews":
                return {
                    "canceled": dice.chance(0.5),
                    "title": f"Interview, round {self._nr}",
                    "remote_updated_at": iso(now),
                }
            case "rejection_reasons":
                return {"name": f"{dice.pick(WORDS['reasons'])} ({self._nr})"}
            case "users":
                fields = {"status": dice.pick(("ACTIVE", "INACTIVE")), **seen}
                return fields | ({"last_name": dice.pick(WORDS["last_names"])} if self._stale else {})
            case "roles":
                return seen | ({"remote_label": f"Role {self._nr}"} if self._stale else {})
        return seen | ({"name": f"Renamed in round {self._nr}"} if self._stale else {})


def _is_empty(row: Row) -> bool:
    return row.record()["remote_id"] is None


def _listed(tags: Any) -> Any:
    return tags if isinstance(tags, list) else []
