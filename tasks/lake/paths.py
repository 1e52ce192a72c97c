"""The lake's layout, which data teams rely on: every path below the lake's root."""

import datetime as dt
from urllib.parse import quote

_SAFE = "._-"  # with letters and digits; `quote` also leaves `~`, which is replaced below


def slug(integration_id: str) -> str:
    """Return an integration id as a path part: the first `:` as `--`, anything unusual percent-encoded."""
    return "--".join(quote(part, safe=_SAFE).replace("~", "%7E") for part in integration_id.split(":", 1))


def current(collection: str, integration_id: str) -> str:
    """One row per id; replaced whole."""
    return f"current/{collection}/integration={slug(integration_id)}/{collection}.parquet"


def changes(collection: str, integration_id: str, day: dt.date, run_id: str) -> str:
    """What one run changed; never replaced by another run."""
    return f"changes/{collection}/date={day:%Y-%m-%d}/integration={slug(integration_id)}/{run_id}.parquet"


def snapshot(collection: str, integration_id: str, day: dt.date) -> str:
    """A dated copy of `current`; never replaced."""
    return f"snapshots/{collection}/date={day:%Y-%m-%d}/integration={slug(integration_id)}/{collection}.parquet"


def run(run_id: str) -> str:
    """What a run did."""
    return f"runs/{run_id}.json"
