"""The servers that operations are tried on: one that checks the contract, and the demo."""

from collections.abc import Iterator

import pytest

from deployments.demo.server import DemoKombo
from tests.contract.ats import Ats
from tests.contract.server import Kombo, kombo


@pytest.fixture
def contract() -> Iterator[Kombo]:
    """A Kombo on loopback that finds fault with every request that the API would not take."""
    with kombo() as state:
        yield state


@pytest.fixture(scope="module")
def still() -> Iterator[Ats]:
    """A server that is only read."""
    with DemoKombo() as kombo:
        yield Ats(kombo)


@pytest.fixture(scope="module")
def busy() -> Iterator[DemoKombo]:
    """A server that is written to."""
    with DemoKombo() as kombo:
        yield kombo


@pytest.fixture
def ats(busy: DemoKombo) -> Iterator[Ats]:
    """The same, as at first."""
    yield Ats(busy)
    busy.reset()
    busy.settings(busy.integrations[0], error=None, models={}, actions={}, warnings={}, attachment_limits={})
