"""Changing records as Kombo does: what is joined follows at once, and only some of it counts as an update.

| inner change                | its copies are rewritten in          | of which match ``updated_after``     |
|-----------------------------|--------------------------------------|--------------------------------------|
| candidate                   | applications, offers, interviews     | applications (not for tags alone)    |
| application (candidates: also its coming and going) | candidates, offers, interviews | all              |
| interview, offer, also their coming and going | applications       | applications                         |
| stage                       | applications, candidates, jobs       | applications                         |
| job                         | applications, candidates, offers, interviews | none                         |
| tag                         | candidates, applications             | none                                 |
| user                        | jobs, interviews                     | none                                 |
| role                        | users                                | users                                |
"""

from collections.abc import Callable, Iterable
from typing import Any

from deployments.demo import nesting
from deployments.demo.blemishes import anonymise
from deployments.demo.store import Record, Row
from deployments.demo.values import iso
from deployments.demo.world import Integration

Copy = Callable[[Record], Record]


class Changes:
    """A round of changes to one integration, all at the same moment.

    Args:
        integration: Whose records change.
        now: Unix time that ``changed_at`` moves to.
    """

    def __init__(self, integration: Integration, now: float) -> None:
        self._stores = integration.stores
        self.now = now
        self._index: dict[tuple[str, int], dict[str, dict[int, Row]]] = {}

    def embedding(self, outer: str, inner: str, id_: str) -> list[Row]:
        """The rows of a collection that embed a record.

        Args:
            outer: Their collection.
            inner: The record's collection.
            id_: The record's id.

        Returns:
            Rows that are not tombstones.
        """
        at = nesting.RELATIONS[outer].index(inner)
        index = self._index.get((outer, at))
        if index is None:
            index = self._index[outer, at] = {}
            for row in self._stores[outer]:
                _enter(index, row, at)
        return [row for row in index.get(id_, {}).values() if not row.deleted]

    def insert(self, collection: str, record: Record) -> Row:
        """Add a record, with all that follows from it.

        Args:
            collection: Its collection.
            record: The record; its ``changed_at`` becomes now.

        Returns:
            Its row.
        """
        record["changed_at"] = iso(self.now)
        row = self._stores[collection].add(record, self.now, nesting.links(collection, record))
        for (outer, at), index in self._index.items():
            if outer == collection:
                _enter(index, row, at)
        self._follow(collection, record, present=True)
        return row

    def update(self, collection: str, row: Row, fields: Record) -> Record:
        """Change fields of a record, with all that follows from it.

        Args:
            collection: Its collection.
            row: Its row.
            fields: The fields that change.

        Returns:
            The record as it is now.
        """
        record = row.record() | fields | {"changed_at": iso(self.now)}
        self._write(collection, row, record)
        row.touched = self.now
        if not row.deleted and set(fields) != {"tags"}:
            self._follow(collection, record, present=True)
        elif not row.deleted:
            self._rewrite_tags(record)
        return record

    def delete(self, collection: str, row: Row) -> None:
        """Turn a record into a tombstone."""
        record = self.update(collection, row, {"remote_deleted_at": iso(self.now)})
        self._follow(collection, record, present=False)

    def undelete(self, collection: str, row: Row) -> None:
        """Bring a tombstone back to life."""
        self.update(collection, row, {"remote_deleted_at": None})

    def anonymise(self, collection: str, row: Row) -> None:
        """Take everything personal out of a tombstone."""
        record = row.record()
        anonymise(record, empty_lists=row.seq % 2 == 0)
        self.update(collection, row, record)

    def remove(self, collection: str, row: Row) -> None:
        """Forget a record altogether, without a trace."""
        record = row.record()
        self._stores[collection].remove(row)
        for (outer, _), index in self._index.items():
            for rows in index.values() if outer == collection else ():
                rows.pop(row.seq, None)
        self._follow(collection, record, present=False)

    def _write(self, collection: str, row: Row, record: Record) -> None:
        row.put(record)
        if not row.deleted:
            row.links = nesting.links(collection, record)
            for (outer, at), index in self._index.items():
                if outer == collection:
                    _enter(index, row, at)
        self._stores[collection].version += 1

    def _rewrite(self, outer: str, rows: Iterable[Row], change: Callable[[Record], None], *, counts: bool) -> None:
        for row in rows:
            record = row.record()
            change(record)
            self._write(outer, row, record)
            if counts:
                row.touched = self.now

    def _follow(self, collection: str, record: Record, *, present: bool) -> None:
        """Rewrite the copies of a record that changed, came, or went."""
        id_ = record["id"]
        if collection in ("interviews", "offers"):
            owner = self._stores["applications"].by_id.get(record["application_id"] or "")
            copy = nesting.interview if collection == "interviews" else nesting.offer
            change = _in_list(collection, record, copy, present=present)
            self._rewrite("applications", [owner] if owner and not owner.deleted else [], change, counts=True)
        if collection == "applications":
            owner = self._stores["candidates"].by_id.get(record["candidate_id"] or "")
            change = _in_list("applications", record, nesting.application_of_candidate, present=present)
            self._rewrite("candidates", [owner] if owner and not owner.deleted else [], change, counts=True)
            if present:
                self._in_application("applications", id_, nesting.application_of_interview(record), counts=True)
        if not present:
            return  # what is gone elsewhere keeps its last copy
        match collection:
            case "candidates":
                outer = self.embedding("applications", "candidates", id_)
                copy = nesting.candidate_of_application
                self._rewrite("applications", outer, _put("candidate", copy(record)), counts=True)
                for row in outer:
                    self._in_application("applications", row.id, {"candidate": nesting.candidate(record)}, counts=False)
            case "jobs":
                outer = self.embedding("applications", "jobs", id_)
                self._rewrite("applications", outer, _put("job", nesting.job(record)), counts=False)
                self._in_candidates(outer, "job", nesting.job(record))
                for row in outer:
                    self._in_application("applications", row.id, {"job": nesting.job(record)}, counts=False)
            case "application_stages":
                outer = self.embedding("applications", "application_stages", id_)
                patch = nesting.stage(record, None)
                del patch["index"]
                self._rewrite("applications", outer, _patch("current_stage", patch), counts=True)
                plain = {key: patch[key] for key in ("id", "name", "remote_id")}  # the newer keys are not in there
                self._in_candidates(outer, "current_stage", plain)
                change = _in_list("stages", record, lambda _: patch, present=True, only_known=True)
                self._rewrite("jobs", self.embedding("jobs", "application_stages", id_), change, counts=False)
            case "tags":
                owners = self.embedding("candidates", "tags", id_)
                change = _in_list("tags", record, nesting.tag, present=True, only_known=True)
                self._rewrite("candidates", owners, change, counts=False)
                for row in owners:
                    self._rewrite_tags(row.record())
            case "users":
                for outer_, key in (("jobs", "hiring_team"), ("interviews", "users")):
                    change = _in_list(key, record, nesting.user, present=True, only_known=True)
                    self._rewrite(outer_, self.embedding(outer_, "users", id_), change, counts=False)
            case "roles":
                label = {"remote_label": record["remote_label"]}
                change = _in_list(
                    "system_roles", record, lambda _: label, present=True, only_known=True, key="remote_id"
                )
                users = [
                    row for row in self._stores["users"] if not row.deleted and _has_role(row, record["remote_id"])
                ]
                self._rewrite("users", users, change, counts=True)

    def _in_application(self, inner: str, id_: str, patch: Record, *, counts: bool) -> None:
        """Change the copy of an application, or of what is in it, inside offers and interviews."""
        of_offer: Record = {key: patch[key] for key in ("candidate", "job") if key in patch}
        for outer, fields in (("offers", of_offer), ("interviews", patch)):
            self._rewrite(outer, self.embedding(outer, inner, id_), _patch("application", fields), counts=counts)

    def _in_candidates(self, applications: list[Row], key: str, patch: Record) -> None:
        """Carry a job or a stage on into the copies of applications inside candidates, without a sign."""
        for row in applications:
            owner = self._stores["candidates"].by_id.get(row.links[0] or "")
            change = _in_item("applications", row.id, _patch(key, patch))
            self._rewrite("candidates", [owner] if owner and not owner.deleted else [], change, counts=False)

    def _rewrite_tags(self, candidate: Record) -> None:
        patch = {"tags": nesting.candidate_of_application(candidate)["tags"]}
        outer = self.embedding("applications", "candidates", candidate["id"])
        self._rewrite("applications", outer, _patch("candidate", patch), counts=False)


def _enter(index: dict[str, dict[int, Row]], row: Row, at: int) -> None:
    linked = row.links[at] if row.links else None
    for id_ in linked if isinstance(linked, tuple) else (linked,):
        if id_ is not None:
            index.setdefault(id_, {})[row.seq] = row


def _has_role(row: Row, remote_id: Any) -> bool:
    roles = row.record()["system_roles"]
    return isinstance(roles, list) and any(isinstance(role, dict) and role["remote_id"] == remote_id for role in roles)


def _put(key: str, value: Record) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        if isinstance(record.get(key), dict):  # an odd value stays as it is
            record[key] = value

    return change


def _patch(key: str, fields: Record) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        if isinstance(record.get(key), dict):
            record[key] |= fields

    return change


def _in_item(name: str, id_: str, patch: Callable[[Record], None]) -> Callable[[Record], None]:
    def change(record: Record) -> None:
        items = record.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and item.get("id") == id_:
                patch(item)

    return change


def _in_list(
    name: str, inner: Record, copy: Copy, *, present: bool, only_known: bool = False, key: str = "id"
) -> Callable[[Record], None]:
    """Put, patch or take out one record's copy in a list."""

    def change(record: Record) -> None:
        items = record.get(name)
        if not isinstance(items, list):
            return
        for at, item in enumerate(items):
            if isinstance(item, dict) and item.get(key) == inner[key]:
                if present:
                    item |= copy(inner)
                else:
                    del items[at]
                return
        if present and not only_known:
            items.append(copy(inner))

    return change
