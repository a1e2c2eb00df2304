"""What tests of the embedded stream begin with."""

from pathlib import Path

import pytest

from shared.stream import embedded_store as store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new stream's file."""
    found = tmp_path / "stream.sqlite"
    store.create(found)
    return found
