"""Stores to try the lake on: a folder, memory, and S3."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tasks.lake.store import Store, open_store
from tests.servers import Bucket


@pytest.fixture
def folder(lake: Path) -> Store:
    """An empty folder."""
    return open_store(str(lake))


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, lake: Path) -> Store:
    """An empty store, of each kind that keeps conditions."""
    if request.param == "folder":
        return open_store(str(lake))
    if request.param == "memory":
        return open_store(f"memory://{uuid4().hex}")
    bucket: Bucket = request.getfixturevalue("bucket")
    return open_store(bucket.new_url(), bucket.options)


@pytest.fixture
def s3(bucket: Bucket) -> Store:
    """An empty place on S3."""
    return open_store(bucket.new_url(), bucket.options)
