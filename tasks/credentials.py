"""Where the key and the lake come from: a Prefect block where there is one, else the environment.

A block's one job is to make what the plain halves need: a client, or a URL with storage options. Nothing is looked up
when this module is imported, and no Prefect server is started to look a block up: without a configured API, and outside
a run, there are no blocks.
"""

from __future__ import annotations

import os
import re
from typing import Any, Self, TypeVar, cast

from prefect.blocks.abstract import CredentialsBlock
from prefect.blocks.core import Block
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from pydantic import Field, HttpUrl, SecretStr, field_validator

from tasks.kombo.client import EU, Client
from tasks.kombo.transport import checked_base_url
from tasks.lake.store import Store, open_store

CREDENTIALS_BLOCK = "kombo"
LAKE_BLOCK = "kombo-lake"
DEFAULT_LAKE = "./lake"

_BLOCK_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_LOGOS = (
    "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos"
)

B = TypeVar("B", bound=Block)


class KomboCredentials(CredentialsBlock):
    """The API key of one Kombo environment, and the region that it belongs to.

    Example:
        Load stored credentials and make a client:
        ```python
        from tasks.credentials import KomboCredentials

        credentials = KomboCredentials.load("BLOCK_NAME")
        with credentials.get_client() as client:
            ...
        ```
    """

    _block_type_name = "Kombo Credentials"
    _block_type_slug = "kombo-credentials"
    _logo_url = HttpUrl(f"{_LOGOS}/secret.png")
    _documentation_url = HttpUrl("https://docs.kombo.dev/introduction")

    api_key: SecretStr = Field(description="API key from the Secrets page of the Kombo dashboard.")
    base_url: str = Field(
        default=EU, description="The key's region: https://api.kombo.dev/v1, or https://api.us.kombo.dev/v1 in the US."
    )

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return checked_base_url(value)

    @classmethod
    def from_env(cls) -> Self:
        """Read `KOMBO_API_KEY` and `KOMBO_BASE_URL`.

        Returns:
            Credentials that were never stored.

        Raises:
            ValueError: There is no key.
        """
        key = os.environ.get("KOMBO_API_KEY", "").strip()
        if not key:
            raise ValueError(
                "no Kombo API key: set KOMBO_API_KEY (and KOMBO_BASE_URL outside the EU), or save a Kombo Credentials "
                f"block named {CREDENTIALS_BLOCK!r} where PREFECT_API_URL points to"
            )
        return cls(api_key=SecretStr(key), base_url=os.environ.get("KOMBO_BASE_URL", "").strip() or EU)

    def get_client(self) -> Client:
        """Make a client; close it, or use it in a `with`.

        Returns:
            A client of this key and region. All clients of one key share one request budget.

        Raises:
            ValueError: The key has spaces or line breaks inside, or is empty.
        """
        return Client(self.api_key.get_secret_value().strip(), self.base_url)


class KomboLake(Block):
    """Where the lake is, and what it takes to get in.

    Example:
        Load a stored lake:
        ```python
        from tasks.credentials import KomboLake

        lake = KomboLake.load("BLOCK_NAME")
        store = lake.get_store()
        ```
    """

    _block_type_name = "Kombo Lake"
    _block_type_slug = "kombo-lake"
    _logo_url = HttpUrl(f"{_LOGOS}/secret.png")
    _documentation_url = HttpUrl("https://filesystem-spec.readthedocs.io/en/latest/")

    url: str = Field(description="URL or path of the lake, such as s3://bucket/prefix.", min_length=1)
    access_key_id: str | None = Field(
        default=None, description="Access key id for S3; empty to use the machine's own credentials."
    )
    secret_access_key: SecretStr | None = Field(default=None, description="Secret access key for S3.")
    session_token: SecretStr | None = Field(default=None, description="Session token for temporary S3 credentials.")
    endpoint_url: str | None = Field(default=None, description="Address of an S3-compatible store other than Amazon's.")
    region: str | None = Field(default=None, description="Region of the bucket, such as eu-central-1.")
    storage_options: dict[str, Any] = Field(
        default_factory=dict,
        description=(
            "Further options for fsspec, not kept secret. Encryption on S3, for instance: "
            '{"s3_additional_kwargs": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "…"}}.'
        ),
    )

    @classmethod
    def from_env(cls) -> Self:
        """Read `KOMBO_LAKE`; what the store itself needs, such as `AWS_ACCESS_KEY_ID`, is read by the store.

        Returns:
            A lake that was never stored; `./lake` if nothing is set.
        """
        return cls(url=os.environ.get("KOMBO_LAKE", "").strip() or DEFAULT_LAKE)

    def get_store(self) -> Store:
        """Open the lake.

        Raises:
            LakeRefused: The URL's scheme is unknown, or it takes a package that is not installed.
        """
        return open_store(*self.location())

    def location(self) -> tuple[str, dict[str, Any]]:
        """Return the lake's URL and fsspec's storage options, which hold the secrets in clear: never log them."""
        options = dict(self.storage_options)
        given = {
            "key": self.access_key_id,
            "secret": self.secret_access_key and self.secret_access_key.get_secret_value(),
            "token": self.session_token and self.session_token.get_secret_value(),
            "endpoint_url": self.endpoint_url,
        }
        options.update({name: value for name, value in given.items() if value})
        if self.region:
            options["client_kwargs"] = {"region_name": self.region, **options.get("client_kwargs", {})}
        return self.url, options


def resolve_credentials(credentials: KomboCredentials | str | None = None) -> KomboCredentials:
    """Find the credentials to use.

    Args:
        credentials: Credentials are taken as they are; a text is the name of a stored block. None is the block named
            `kombo` if there is one, else the environment.

    Returns:
        The credentials.

    Raises:
        ValueError: There is no such block, or neither block nor environment variable.
    """
    if isinstance(credentials, KomboCredentials):
        return credentials
    if credentials is not None:
        return _stored(KomboCredentials, credentials) or _missing(KomboCredentials, credentials)
    return _stored(KomboCredentials, CREDENTIALS_BLOCK) or KomboCredentials.from_env()


def resolve_lake(lake: KomboLake | str | None = None) -> KomboLake:
    """Find the lake to use.

    Args:
        lake: A lake is taken as it is. A text is the name of a stored block if it looks like one (no `/`, `.` or `:`)
            and there is one, else a URL or a path. None is the block named `kombo-lake` if there is one, else
            `KOMBO_LAKE`, else `./lake`.

    Returns:
        The lake.

    Raises:
        ValueError: The text is empty.
    """
    if isinstance(lake, KomboLake):
        return lake
    if lake is None:
        return _stored(KomboLake, LAKE_BLOCK) or KomboLake.from_env()
    if not lake.strip():
        raise ValueError("the lake is empty: give a path or a URL such as s3://bucket/prefix")
    if _BLOCK_NAME.fullmatch(lake) and (found := _stored(KomboLake, lake)):
        return found
    return KomboLake(url=lake)


def _stored(kind: type[B], name: str) -> B | None:
    """Load a block; None if there is none, or no Prefect API to ask."""
    if not _api_at_hand():
        return None
    try:
        # Without `_sync`, Prefect returns a coroutine instead wherever an event loop is running.
        return cast("B", kind.load(name, _sync=True))  # type: ignore[call-arg]
    except ValueError as error:
        if isinstance(error.__cause__, ObjectNotFound):
            return None
        raise


def _api_at_hand() -> bool:
    """Whether asking for a block does not start a server: an API is configured, or a run has one already."""
    return bool(PREFECT_API_URL.value()) or FlowRunContext.get() is not None or TaskRunContext.get() is not None


def _missing(kind: type[Block], name: str) -> Any:
    where = PREFECT_API_URL.value()
    raise ValueError(
        f"there is no {kind._block_type_name} block named {name!r}"
        + (" in this Prefect workspace; create it in the UI" if where else ": PREFECT_API_URL is not set")
        + ", or leave the name out to use KOMBO_API_KEY"
    )
