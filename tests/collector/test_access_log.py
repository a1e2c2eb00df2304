"""The access log: what it says of a request, however that ended."""

import asyncio
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from collector.access_log import logged
from collector.correlation import HEADER, request_id
from collector.sections import PerformanceSettings


@dataclass
class Lines:
    """A log in memory."""

    entries: list[dict[str, object]] = field(default_factory=list)

    def info(self, event: str, **fields: object) -> None:
        assert event == "request"
        self.entries.append(fields)


async def asked(lines: Lines, path: str, *, error: BaseException | None = None, sent: str | None = None) -> None:
    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        if error is not None:
            raise error
        return web.Response(status=204)

    handler = logged(handle, PerformanceSettings(), lines, lambda: "new")
    headers = {HEADER: sent} if sent is not None else {}
    await asyncio.create_task(handler(make_mocked_request("GET", path, headers)))  # type: ignore[arg-type]


async def test_an_entry_tells_no_query_and_excluded_paths_none() -> None:
    lines = Lines()
    for path in ("/health", "/ready?probe=1", "/", "/i?e=pv&uid=me"):
        await asked(lines, path)
    (entry,) = lines.entries
    assert (entry["method"], entry["path"], entry["status"], entry["request_id"]) == ("GET", "/i", 204, "new")


@pytest.mark.parametrize(
    ("sent", "written"), [("abc-1", "abc-1"), ("two words", "new"), ("", "new"), ("x" * 129, "new")]
)
async def test_an_id_that_came_is_written_if_it_fits_into_a_line(sent: str, written: str) -> None:
    lines = Lines()
    await asked(lines, "/i", sent=sent)
    assert lines.entries[0]["request_id"] == written
    assert request_id.get() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (web.HTTPNotFound(), 404),
        (TimeoutError(), 408),
        (ConnectionResetError(), 499),
        (asyncio.CancelledError(), 499),
        (ZeroDivisionError(), 500),
    ],
)
async def test_what_nobody_waited_for_or_took_too_long_is_no_500(error: BaseException, status: int) -> None:
    lines = Lines()
    with pytest.raises(type(error)):
        await asked(lines, "/i", error=error)
    assert lines.entries[0]["status"] == status
