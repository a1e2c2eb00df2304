"""What tests of the streams begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.settings import RabbitmqSettings, SharedSettings
from shared.stream import embedded_store as store
from tests.broker import Address
from tests.proxy import Line, line_to
from tests.shared.messages import quick


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new stream's file."""
    found = tmp_path / "stream.sqlite"
    store.create(found)
    return found


@pytest.fixture
async def line(broker: Address) -> AsyncIterator[Line]:
    async with line_to(broker.host, broker.port) as line:
        yield line


@pytest.fixture
def lined(rabbitmq: RabbitmqSettings, line: Line) -> SharedSettings:
    """Settings that lead to the shared broker over the line."""
    return quick(rabbitmq, host="127.0.0.1", port=line.port)
