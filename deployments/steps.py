"""What bootstrap says and does of one thing."""

from collections.abc import Callable
from typing import Literal, NamedTuple


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
