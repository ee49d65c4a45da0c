"""The clean tables of raw logs, without a file."""

import pytest

from resources.warehouse import Warehouse


@pytest.fixture
def warehouse() -> Warehouse:
    """A warehouse without a file: these tests make hundreds of tables."""
    return Warehouse(path=":memory:", threads=1)
