"""Checks of what becomes part of a header, a path or a query, before it does.

A wrong value is refused with a `ValueError` that names the parameter and the rule. It does not repeat the value: an
operator may have pasted a name or an address into the wrong field, and the text ends in a log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

_KOMBO_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24}")
# The tail is documented as 24 base58 characters, yet Kombo's own guides show others: anything that is one visible
# header-safe word and no path.
_INTEGRATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}:[!-.0-\[\]-~]{1,200}")
_API_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?")
_REMOTE = "remote:"


def integration_id(value: str) -> str:
    """Check an integration id, `<tool>:<tail>`, such as `workday:HWUTwvyx2wLoSUHphiWVrp28`.

    Args:
        value: What the caller gave.

    Returns:
        The same id.

    Raises:
        ValueError: It is not one tool name, a colon and a tail without spaces, slashes or control characters.
    """
    if not isinstance(value, str) or not _INTEGRATION.fullmatch(value):
        raise ValueError(
            "integration: expected '<tool>:<id>' as shown in Kombo, such as workday:HWUTwvyx2wLoSUHphiWVrp28"
        )
    return value


def kombo_id(value: str, name: str = "id") -> str:
    """Check a Kombo id: 24 base58 characters.

    Args:
        value: What the caller gave.
        name: The parameter, for the error's text.

    Returns:
        The same id.

    Raises:
        ValueError: It is not 24 base58 characters.
    """
    if not isinstance(value, str) or not _KOMBO_ID.fullmatch(value):
        raise ValueError(f"{name}: expected a Kombo id, 24 characters of base58 (no 0, O, I or l)")
    return value


def kombo_or_remote_id(value: str, name: str = "id") -> str:
    """Check an id where the API also takes the ATS's own, written `remote:<id>`.

    Args:
        value: What the caller gave.
        name: The parameter, for the error's text.

    Returns:
        The same id.

    Raises:
        ValueError: It is neither a Kombo id nor `remote:` and at least one visible character.
    """
    if isinstance(value, str) and value.startswith(_REMOTE):
        tail = value.removeprefix(_REMOTE)
        if tail.strip() and tail.isprintable():
            return value
        raise ValueError(f"{name}: expected an id of the ATS after 'remote:', without control characters")
    return kombo_id(value, name)


def path_segment(value: str) -> str:
    """Percent-encode a checked id so that it stays one segment of a path."""
    return quote(value, safe="")


def api_time(value: datetime | str, name: str = "datetime") -> str:
    """Write a point in time as the API takes it: UTC with a `Z`, whatever the machine's zone.

    Args:
        value: A datetime with a zone, or text as the API takes it (`2026-03-29`, `2026-03-29T01:00:00Z`), or ISO text
            with an offset, which is converted.
        name: The parameter, for the error's text.

    Returns:
        Such as `2026-03-29T01:00:00.000Z`.

    Raises:
        ValueError: A datetime without a zone, whose meaning would depend on the machine, or text that is no time.
    """
    if not isinstance(value, str | datetime):
        raise TypeError(f"{name}: expected a datetime or text")  # a date alone would leave the time open
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{name}: expected a time such as 2026-03-29T01:00:00Z") from None
        if _API_TIME.fullmatch(value):
            # The API's pattern allows a day alone, which its format does not, and a time without Z: say what is meant.
            if "T" not in value:
                return f"{value}T00:00:00.000Z"
            return value if value.endswith("Z") else f"{value}Z"
        value = parsed
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{name}: this datetime has no time zone; say which, for instance tzinfo=UTC")
    # The API's own precision; cutting a watermark down only makes it earlier.
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def api_bool(value: bool, name: str = "flag") -> str:
    """Write a boolean as the API takes it in a query: `true` or `false`."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False")
    return "true" if value else "false"


def api_list(values: Iterable[str], name: str = "list") -> str:
    """Join values with commas, the API's only way to say several.

    Args:
        values: One or more texts.
        name: The parameter, for the error's text.

    Returns:
        The values with commas between.

    Raises:
        ValueError: No value (that would silently mean no filter), an empty one, or one that holds a comma, which the
            API cannot express.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected a list of texts")
    items = list(values)
    if not items:
        raise ValueError(f"{name}: an empty list would mean no filter at all; leave the parameter out for that")
    for item in items:
        if not isinstance(item, str):
            raise TypeError(f"{name}: expected a list of texts")
        if not item.strip():
            raise ValueError(f"{name}: a value is empty")
        if "," in item:
            raise ValueError(f"{name}: a value contains a comma, which the API cannot express in a list")
    return ",".join(items)


def query(params: Mapping[str, str] | None) -> str:
    """Encode checked parameters as a URL's query, without the question mark."""
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in (params or {}).items())
