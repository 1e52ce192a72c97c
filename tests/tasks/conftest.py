"""What the tests of the operations share."""

from tests.contract.conftest import contract

__all__ = ["contract"]
