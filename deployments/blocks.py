"""The blocks that runs and alerts take their secrets from, made of the environment."""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from pydantic import ValidationError

from deployments import automations
from deployments.steps import Environment, Step, said
from tasks.credentials import CREDENTIALS_BLOCK, LAKE_BLOCK, KomboCredentials, KomboLake

_S3_KEYS = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
}
_WITHOUT = {
    "KOMBO_API_KEY": "runs need it in the workers' environment",
    "KOMBO_LAKE": "runs need it in the workers' environment, or write to ./lake",
    "KOMBO_ALERT_URL": "nobody is told of runs that fail",
}


def steps(client: SyncPrefectClient, given: Environment) -> Iterator[Step]:
    """Compare the blocks with the environment. Of a block that is there, only what is given is changed.

    Args:
        client: Of the server; has to be the one that PREFECT_API_URL names.
        given: The environment, without what is empty.
    """
    key = _named(given, {"api_key": "KOMBO_API_KEY", "base_url": "KOMBO_BASE_URL"})
    yield _block(client, KomboCredentials, CREDENTIALS_BLOCK, key, "KOMBO_API_KEY")
    lake: dict[str, Any] = _named(given, {"url": "KOMBO_LAKE"})
    if lake.get("url", "").startswith("s3://"):
        lake |= _named(given, {"endpoint_url": "AWS_ENDPOINT_URL", "region": "AWS_REGION"})
        if "AWS_ACCESS_KEY_ID" in given:  # one pair of keys, not half of the old one with half of the new
            lake |= {field: given.get(name) for field, name in _S3_KEYS.items()}
    if lake.get("access_key_id") and not lake["secret_access_key"]:
        yield Step("missing", "AWS_SECRET_ACCESS_KEY, which belongs to AWS_ACCESS_KEY_ID")
    else:
        yield _block(client, KomboLake, LAKE_BLOCK, lake, "KOMBO_LAKE")
    alerts: dict[str, Any] = {}
    if url := given.get("KOMBO_ALERT_URL"):
        if not re.match(r"https?://[^/\s]+\S*$", url):
            yield Step("missing", "KOMBO_ALERT_URL is not an http or https address")
            return
        alerts = {
            "name": automations.ALERTS_BLOCK,
            "url": "{{url}}",  # a secret: whoever has it can write to the channel
            "json_data": {"text": "{{subject}}\n{{body}}"},
            "secrets": {"url": url},
        }
    yield _block(client, CustomWebhookNotificationBlock, automations.ALERTS_BLOCK, alerts, "KOMBO_ALERT_URL")


def _named(given: Environment, names: Mapping[str, str]) -> dict[str, str]:
    return {field: given[name] for field, name in names.items() if name in given}


def _block(client: SyncPrefectClient, kind: type[Block], name: str, wanted: Mapping[str, Any], variable: str) -> Step:
    slug = str(kind.get_block_type_slug())
    what = f"block {slug}/{name}"
    try:
        found = dict(client.read_block_document_by_name(name, slug, include_secrets=True).data)
    except ObjectNotFound:
        found = {}
    if not wanted:
        if found:
            return Step("unchanged", f"{what}; {variable} is not set")
        return Step("note", f"{what}: there is none, and {variable} is not set; {_WITHOUT[variable]}")
    try:
        block = kind(**{**found, **wanted})
        if isinstance(block, KomboCredentials):
            block.get_client().close()
    except ValidationError as error:
        return Step("missing", f"{what} cannot be made of the environment: {said(error)}")
    except ValueError as error:
        return Step("missing", f"{what} cannot be made of the environment: {error}")
    made = block.model_dump(mode="json", context={"include_secrets": True})
    changed = [field for field in wanted if made[field] != found.get(field)]
    if not changed:
        return Step("unchanged", what)
    save = partial(block.save, name, overwrite=True, _sync=True)  # type: ignore[call-arg]
    return Step("change" if found else "create", f"{what}: {', '.join(changed)}", save)
