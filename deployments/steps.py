"""What bootstrap says and does of one thing."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from pydantic import ValidationError

Environment = Mapping[str, str]


class Step(NamedTuple):
    """One thing, and how it is.

    Attributes:
        kind: `create` and `change` are what bootstrap does itself. `missing` is what somebody has to give or do.
        what: Its name, and more, but no secret.
        do: Creates or changes it.
    """

    kind: Literal["create", "change", "unchanged", "missing", "note"]
    what: str
    do: Callable[[], object] | None = None


def said(error: ValidationError) -> str:
    """What is wrong, without the value that is: it may be a secret."""
    return "; ".join(f"{'.'.join(map(str, (*one['loc'], '')))} {one['msg']}".lstrip() for one in error.errors())
