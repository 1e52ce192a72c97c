"""Where the key and the lake come from, and that the key shows nowhere."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import ClassVar

import pytest
from prefect import flow
from prefect.blocks.core import Block
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.standard_test_suites import BlockStandardTestSuite
from pydantic import SecretStr, ValidationError

from tasks.credentials import (
    CREDENTIALS_BLOCK,
    LAKE_BLOCK,
    KomboCredentials,
    KomboLake,
    resolve_credentials,
    resolve_lake,
)
from tasks.kombo.client import EU, US

SECRET = "not-to-be-seen"


class TestBlocks(BlockStandardTestSuite):
    kinds: ClassVar = [KomboCredentials, KomboLake]

    @pytest.fixture(params=kinds)
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        kind: type[Block] = request.param
        return kind

    # The logo would be fetched from the network.
    test_has_a_valid_image = None


@pytest.fixture
def no_api() -> Iterator[None]:
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield


@pytest.fixture
def blocks(prefect_server: str) -> Iterator[None]:
    KomboCredentials(api_key=SecretStr(SECRET), base_url=US).save("us-key")
    KomboCredentials(api_key=SecretStr(SECRET)).save(CREDENTIALS_BLOCK)
    KomboLake(url="s3://stored/lake", secret_access_key=SecretStr(SECRET)).save("stored-lake")
    KomboLake(url="s3://default/lake").save(LAKE_BLOCK)
    yield
    KomboCredentials.delete("us-key")
    KomboCredentials.delete(CREDENTIALS_BLOCK)
    KomboLake.delete("stored-lake")
    KomboLake.delete(LAKE_BLOCK)


@pytest.fixture
def key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_API_KEY", f" {SECRET}\n")


@pytest.mark.usefixtures("no_api", "key_in_environment")
def test_the_environment_is_enough_without_a_server() -> None:
    found = resolve_credentials()
    assert (found.api_key.get_secret_value(), found.base_url) == (SECRET, EU)


@pytest.mark.usefixtures("no_api", "key_in_environment")
def test_the_environment_may_name_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_BASE_URL", US + "/")
    assert resolve_credentials().base_url == US


@pytest.mark.usefixtures("no_api")
def test_without_a_key_anywhere_it_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"set KOMBO_API_KEY .* or save a Kombo Credentials block named 'kombo'"):
        resolve_credentials()


@pytest.mark.usefixtures("no_api", "key_in_environment")
def test_a_block_that_is_named_is_never_replaced_by_the_environment() -> None:
    with pytest.raises(ValueError, match=r"named 'us-key': PREFECT_API_URL is not set"):
        resolve_credentials("us-key")


@pytest.mark.usefixtures("prefect_server", "key_in_environment")
def test_a_block_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match="no Kombo Credentials block named 'us-key' in this Prefect workspace"):
        resolve_credentials("us-key")


@pytest.mark.usefixtures("prefect_server", "key_in_environment")
def test_without_a_default_block_the_environment_counts() -> None:
    assert resolve_credentials().api_key.get_secret_value() == SECRET


@pytest.mark.usefixtures("blocks")
def test_a_named_block_is_used() -> None:
    assert resolve_credentials("us-key").base_url == US


@pytest.mark.usefixtures("blocks")
def test_the_default_block_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_API_KEY", "another")
    assert resolve_credentials().api_key.get_secret_value() == SECRET


@pytest.mark.usefixtures("blocks")
def test_a_block_is_found_while_an_event_loop_runs() -> None:
    async def inside() -> KomboCredentials:
        return resolve_credentials("us-key")

    assert asyncio.run(inside()).base_url == US


@pytest.mark.usefixtures("blocks")
def test_a_block_is_found_inside_a_run() -> None:
    @flow
    def run() -> str:
        return resolve_credentials("us-key").base_url

    assert run() == US


def test_credentials_are_taken_as_they_are() -> None:
    given = KomboCredentials(api_key=SecretStr(SECRET))
    assert resolve_credentials(given) is given


def test_a_client_is_made_for_the_region() -> None:
    with KomboCredentials(api_key=SecretStr(f"{SECRET}\n"), base_url=US).get_client() as client:
        assert client.base_url == US


@pytest.mark.parametrize("url", ["http://api.kombo.dev/v1", "api.kombo.dev"])
def test_a_base_url_that_is_none_is_refused_when_it_is_entered(url: str) -> None:
    with pytest.raises(ValidationError, match="Kombo base URL"):
        KomboCredentials(api_key=SecretStr(SECRET), base_url=url)


def test_no_secret_shows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = KomboCredentials(api_key=SecretStr(SECRET))
    lake = KomboLake(url="s3://b/p", secret_access_key=SecretStr(SECRET), session_token=SecretStr(SECRET))
    with credentials.get_client() as client:
        logging.getLogger("test").debug("%s %r %s %r %r", credentials, credentials, lake, lake, client)
    assert "KomboCredentials" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in credentials.model_dump_json() + lake.model_dump_json()


@pytest.mark.usefixtures("no_api")
def test_the_lake_is_where_the_environment_says_or_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_lake().location() == ("./lake", {})
    monkeypatch.setenv("KOMBO_LAKE", "s3://bucket/prefix")
    assert resolve_lake().location() == ("s3://bucket/prefix", {})


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    "value", ["./lake", "lake", "/data/lake", "file:///data", "s3://b/p", "memory://x", "a.b", "Up"]
)
def test_a_path_or_url_is_taken_as_it_is(value: str) -> None:
    assert resolve_lake(value).url == value


@pytest.mark.usefixtures("blocks")
def test_a_lakes_name_finds_its_block() -> None:
    url, options = resolve_lake("stored-lake").location()
    assert (url, options) == ("s3://stored/lake", {"secret": SECRET})


@pytest.mark.usefixtures("blocks")
def test_the_default_lake_block_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMBO_LAKE", "./elsewhere")
    assert resolve_lake().url == "s3://default/lake"


@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_lake_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="lake is empty"):
        resolve_lake(value)


def test_a_lake_makes_storage_options_for_s3() -> None:
    lake = KomboLake(
        url="s3://b/p",
        access_key_id="id",
        secret_access_key=SecretStr(SECRET),
        session_token=SecretStr("token"),
        endpoint_url="https://store.example.org",
        region="eu-central-1",
        storage_options={
            "s3_additional_kwargs": {"ServerSideEncryption": "aws:kms"},
            "client_kwargs": {"use_ssl": True},
        },
    )
    assert lake.location()[1] == {
        "key": "id",
        "secret": SECRET,
        "token": "token",
        "endpoint_url": "https://store.example.org",
        "client_kwargs": {"region_name": "eu-central-1", "use_ssl": True},
        "s3_additional_kwargs": {"ServerSideEncryption": "aws:kms"},
    }


def test_nothing_is_looked_up_at_import() -> None:
    code = (
        "import os, socket\n"
        "os.environ['PREFECT_API_URL'] = 'http://127.0.0.1:9/api'\n"
        "def refuse(*_): raise AssertionError('connected at import')\n"
        "socket.socket.connect = refuse\n"
        "import tasks.credentials, tasks.policies\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603
