"""The contract's server."""

from collections.abc import Iterator

import pytest

from tests.contract.server import Kombo, kombo


@pytest.fixture
def contract() -> Iterator[Kombo]:
    """A Kombo on loopback that finds fault with every request that the API would not take."""
    with kombo() as state:
        yield state
