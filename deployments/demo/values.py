"""The vocabulary of the demo data: names in many scripts, texts, places, dates and free-form fields.

Nobody here is real: names are random pairs, e-mail addresses end in the reserved ``example`` domains and
telephone numbers come from ranges kept for fiction.
"""

import hashlib
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58 = bytes(_ALPHABET[byte % 58] for byte in range(256))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_days: dict[int, str] = {}

HUGE_INTEGER = Decimal(2**70)  # beyond any 64-bit column
HUGE_FLOAT = Decimal("1e400")  # legal JSON, beyond any double

WORDS: dict[str, list[Any]] = json.loads(Path(__file__).with_name("words.json").read_bytes())


def kombo_id(integration: str, remote_id: str) -> str:
    """The 24 base58 characters of a record: the same remote id gives the same id in every model, as at Kombo.

    Args:
        integration: Id of the integration.
        remote_id: The record's id in the ATS.

    Returns:
        24 characters of the base58 alphabet.
    """
    digest = hashlib.blake2b(f"{integration}/{remote_id}".encode(), digest_size=24).digest()
    return digest.translate(_BASE58).decode()


def iso(seconds: float, *, milliseconds: bool = True) -> str:
    """Write a time as the API does.

    Args:
        seconds: Unix time; may be negative.
        milliseconds: False leaves them out, as some systems do.

    Returns:
        UTC, like ``2026-05-02T08:15:00.250Z``.
    """
    day, rest = divmod(seconds, 86400)
    date = _days.get(int(day))
    if date is None:
        date = _days[int(day)] = (_EPOCH + timedelta(days=int(day))).strftime("%Y-%m-%dT")
    whole = int(rest)
    clock = f"{date}{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{clock}.{int((rest - whole) * 1000):03}Z" if milliseconds else clock + "Z"


def unix(text: str) -> float:
    """The reverse of ``iso``; a date alone is midnight and a missing zone is UTC.

    Args:
        text: An ISO date or date-time in UTC.

    Returns:
        Unix time in seconds.

    Raises:
        ValueError: If the text is not a date that exists.
    """
    moment = datetime.fromisoformat(text.removesuffix("Z"))
    return (moment.replace(tzinfo=UTC) - _EPOCH).total_seconds()


class Dice:
    """A seeded source of values; equal seeds give equal values in equal order."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  (reproducible data, not secrets)
        self.number = self._random.random

    def pick(self, pool: Sequence[T]) -> T:
        """One of the pool, each as likely as the other."""
        return pool[int(self.number() * len(pool))]

    def below(self, limit: int) -> int:
        """An integer from 0 to limit - 1."""
        return int(self.number() * limit)

    def sample(self, pool: Sequence[T], count: int) -> list[T]:
        """Up to ``count`` different members of the pool, in random order."""
        return self._random.sample(pool, min(count, len(pool)))

    def chance(self, share: float) -> bool:
        """True in this share of the calls."""
        return self.number() < share

    def text(self, sentences: int) -> str:
        """A few sentences, each in a language of its own."""
        return "".join(self.pick(WORDS["sentences"]) for _ in range(sentences)).strip()

    def custom_fields(self, nr: int) -> dict[str, Any] | None:
        """Free-form fields: the same key holds another type in another row."""
        kind = nr % 12
        if kind == 0:
            return {}
        if kind == 1:
            return None
        salary: Any = (
            "80k",
            72000.5,
            {"amount": 65000 + nr, "currency": "EUR"},
            [60000, 70000 + nr],
            None,
            {},
            True,
            55000 + nr,
        )[nr % 8]
        fields: dict[str, Any] = {
            "salary_expectation": salary,
            "notice_period": self.pick(("3 Monate", 3, "immediately", None, {"months": 1})),
            "cost_center": self.pick(("0042", 42, "K-17/ä")),
            "birthday": iso(-86400.0 * (nr % 9000)) if kind == 5 else None,
            "internal-note": self.text(1) if nr % 3 == 0 else None,
            "ref": f"{nr:x}-{self.below(1 << 40):010x}",
        }
        if kind == 7:
            fields["ids"] = [nr, str(nr), None]
        if kind == 8:
            fields["" if nr % 5 == 0 else 'weird key / 键 "q"'] = False
        return fields

    def integration_fields(self, nr: int) -> list[dict[str, Any]]:
        """Passed-through fields whose value is anything, or is not there."""
        if nr % 2:
            return []
        values: tuple[Any, ...] = ("Berlin", 17, 17.25, True, None, ["a", 1], {"id": nr, "label": "Süd"}, "", [])
        fields: list[dict[str, Any]] = [
            {
                "id": f"field-{key}",
                "key": key,
                "type": "DEFAULT" if at == 0 else "CUSTOM",
                "value": values[(nr // 2 + at) % len(values)],
                "label": None if (nr + at) % 4 == 0 else f"Field {key}",
            }
            for at, key in enumerate(("recruiter_region", "customText12", "größe"))
        ]
        if nr % 7 == 0:
            del fields[-1]["value"]
        return fields

    def emails(self, nr: int) -> list[dict[str, Any]] | None:
        """E-mail addresses, of which some rows have none, several, or one without a type."""
        kind = nr % 20
        if kind == 0:
            return []
        if kind == 1:
            return None
        addresses: list[dict[str, Any]] = [{"email_address": f"person.{nr}@example.com", "type": "PRIVATE"}]
        if kind == 2:
            addresses.append({"email_address": f"o'brien+{nr}@mail.example.org", "type": None})
        if kind == 3:
            addresses.append({"email_address": None, "type": "WORK"})
        if kind == 4:
            addresses.append({"type": "WORK"})
        return addresses

    def answers(self, nr: int) -> list[dict[str, Any]] | None:
        """Answers to screening questions, of every type that the API has."""
        kind = nr % 10
        if kind == 0:
            return []
        if kind == 1:
            return None
        found = []
        for at in range(1 + nr % 4):
            type_, title = WORDS["questions"][(nr // 10 + at) % 7 if at else 0]
            answer = self._answer(type_, nr)
            remote_id = None if at == 2 else f"q-{type_.lower()}-{at}"
            found.append({"answer": answer, "question": {"remote_id": remote_id, "title": title, "type": type_}})
        return found

    def _answer(self, type_: str, nr: int) -> dict[str, Any]:
        match type_:
            case "TEXT":
                return {"content": self.text(1 + nr % 2) if nr % 9 else None}
            case "SINGLE_SELECT":
                return {"choice": self.pick(("TypeScript", "C++", None))}
            case "MULTI_SELECT":
                return {"choices": self.sample(("Deutsch", "日本語", "Türkçe"), nr % 4)}
            case "BOOLEAN":
                return {"checked": (True, False, None)[nr % 3]}
            case "NUMBER":
                return {"number": (3, 4.5, None)[nr % 3]}
            case "DATE":
                return {"date": iso(86400.0 * (20000 + nr % 400))}
        return {"raw": ({"a": [1, None]}, "text", 7, None)[nr % 4]}
