"""The types of the flows' parameters, so that a form explains itself and refuses what cannot be meant.

Prefect's form shows `X | None` as a choice between two editors, and a default of None comes back from it as a value. So
what may be left out has one plain type in the schema, and there a default of that type: an empty text, or a list of
what is taken. Python callers go on saying None, and do not meet that default.

The form checks types, patterns and choices; the server checks everything, lengths, bounds and repeated items too,
before it creates the run. Where somebody unticks "Validate parameters", the run fails before it does anything.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.fields import FieldInfo

from tasks.kombo.collections import COLLECTIONS, Collection

EVERY = "*"
"""In a form, any stage or job. An emptied list is refused: it may be meant as none, and must not be taken for all."""


@dataclass(frozen=True)
class _Plain:
    """Leaves the null out of the schema of `X | None`."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        either: list[dict[str, Any]] = handler(schema)["anyOf"]
        return either[0]


def _shown(default: Any) -> FieldInfo:
    field: FieldInfo = Field(json_schema_extra={"default": default})
    return field


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _none_if_every(value: Any) -> Any:
    return None if value == [EVERY] else value


def _not_every(value: str) -> str:
    if value == EVERY:
        raise ValueError(f"{EVERY} means any, and stands alone")
    return value


_OPTIONAL = (_Plain(), BeforeValidator(_none_if_blank), _shown(""))
_DISTINCT = {"uniqueItems": True}
_ALONE = {"if": {"contains": {"const": EVERY}}, "then": {"maxItems": 1}}

IntegrationId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*:[!-.0-\[\]-~]+$",
        max_length=264,
        description="As the Kombo dashboard shows it, such as workday:HWUTwvyx2wLoSUHphiWVrp28.",
    ),
]
Integrations = Annotated[list[IntegrationId], Field(min_length=1, json_schema_extra=_DISTINCT)]
Collections = Annotated[
    Annotated[list[Collection], Field(min_length=1, json_schema_extra=_DISTINCT)] | None,
    _Plain(),
    _shown(list(COLLECTIONS)),
]
Days = Annotated[int, Field(ge=0, le=3650)]
Copies = Annotated[int, Field(ge=0, le=3650)]
Share = Annotated[float, Field(ge=0, le=1)]
StaleDays = Annotated[int, Field(ge=7, le=3650)]
MostRejections = Annotated[int, Field(ge=1, le=10_000)]

Name = Annotated[str, Field(pattern=r"\S")]
"""What an ATS calls something, to the letter; not blank."""
Names = Annotated[
    Annotated[
        list[Annotated[Name, AfterValidator(_not_every)]],
        Field(min_length=1, json_schema_extra={**_DISTINCT, **_ALONE}),
    ]
    | None,
    _Plain(),
    BeforeValidator(_none_if_every),
    _shown([EVERY]),
]
"""None and `["*"]` are any."""
Text = Annotated[str | None, *_OPTIONAL]
File = Annotated[str, Field(pattern=r"^\S(.*\S)?$")]
Lake = Annotated[Annotated[str, Field(pattern=r"^(\S(.*\S)?)?$")] | None, *_OPTIONAL]
Block = Annotated[Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]*)?$")] | None, *_OPTIONAL]
"""Name of a block; hardly a key, if one is pasted here by mistake, because Prefect would keep and show it."""
ApplicationIds = Annotated[
    Annotated[
        list[Annotated[str, Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{24}$")]],
        Field(max_length=500, json_schema_extra=_DISTINCT),
    ]
    | None,
    _Plain(),
    _shown([]),
]
RowKeys = Annotated[
    Annotated[
        list[Annotated[str, Field(pattern=r"^[0-9A-Za-z]{24,32}$")]], Field(max_length=500, json_schema_extra=_DISTINCT)
    ]
    | None,
    _Plain(),
    _shown([]),
]
Arguments = Annotated[dict[str, Any] | None, _Plain(), _shown({})]
