"""What asks the services and databases of these tests."""

from collections.abc import AsyncIterator

import pytest

from enricher.lookups.lookups import Lookups


@pytest.fixture
async def lookups() -> AsyncIterator[Lookups]:
    opened = Lookups()
    yield opened
    await opened.close()
