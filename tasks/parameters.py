"""The types of the flows' parameters, so that a form explains itself and refuses what cannot be meant."""

from typing import Annotated

from pydantic import Field

from tasks.kombo.collections import Collection

IntegrationId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_-]+:[!-.0-~]+$",
        max_length=200,
        description="Integration id from the Kombo dashboard, such as workday:HWUTwvyx2wLoSUHphiWVrp28.",
    ),
]
Integrations = Annotated[list[IntegrationId], Field(min_length=1)]
Collections = Annotated[list[Collection], Field(min_length=1)]
Days = Annotated[int, Field(ge=0, le=3650)]
Copies = Annotated[int, Field(ge=0, le=3650)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Name], Field(min_length=1)]
StaleDays = Annotated[int, Field(ge=7, le=3650)]
MostRejections = Annotated[int, Field(ge=1, le=10_000)]
ApplicationIds = Annotated[
    list[Annotated[str, Field(pattern=r"^[1-9A-HJ-NP-Za-km-z]{24}$")]], Field(min_length=1, max_length=500)
]
RowKeys = Annotated[list[Annotated[str, Field(pattern=r"^[0-9A-Za-z]{24,32}$")]], Field(min_length=1, max_length=500)]
