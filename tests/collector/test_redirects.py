"""What a click redirect answers, by the vectors of the adapter that reads its event."""

from typing import Any

import aiohttp
import pytest

from tests.collector.running import collector
from tests.collector.snowplow_config import settings
from tests.vectors import vectors

REDIRECTS = [
    row
    for row in vectors("adapters")
    if row.values[0] is None or (row.id[:6] == "redir-" and "response" in row.values[0])
]
_ROW = {"id", "from", "note", "path", "method", "query", "content_type", "body", "layer", "config", "response"}


@pytest.mark.vectors
@pytest.mark.parametrize("row", REDIRECTS)
async def test_redirect(row: dict[str, Any]) -> None:
    assert row.keys() <= _ROW, f"nothing reads {row.keys() - _ROW}"
    assert row["response"].keys() <= {"status", "headers"}
    config = {name: value for name, value in row["config"].items() if name != "networkUserId"}
    user = row["config"].get("networkUserId")
    async with (
        collector(settings(config)) as running,
        aiohttp.ClientSession(cookies={"sp": user} if user else None) as session,
        session.request(
            row["method"], f"{running.url}/{row['path']}", params=row["query"], data=row["body"], allow_redirects=False
        ) as answer,
    ):
        assert answer.status == row["response"]["status"]
        for name, value in row["response"].get("headers", {}).items():
            assert answer.headers[name] == value
        assert len(running.publisher.payloads()) == 1
