"""What is served beside trackers: scripts from a folder, the documentation, and how both are compressed."""

import gzip
import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from yarl import URL

from collector.settings import Settings
from tests.collector.raw_http import exchange
from tests.collector.running import collector, get, plain


async def test_docs_and_static_files_by_setting(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "sp.js").write_text("plain")
    (tmp_path / "static" / "sp.js.gz").write_bytes(gzip.compress(b"plain"))
    (tmp_path / "secret").write_text("secret")
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "collector": {"port": 0}, "security": {"disable_docs": False}}
    )
    async with collector(settings) as running:
        status, headers, body = await get(running, "/static/sp.js")
        assert (status, body, headers["Content-Encoding"]) == (200, b"plain", "gzip")
        assert headers["Vary"] == "Accept-Encoding, Origin"
        answer = await exchange(running.port, b"GET /static/../secret HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer
        assert answer.status == 404
        paths = json.loads((await get(running, "/openapi.json"))[2])["paths"]
        assert "/com.snowplowanalytics.snowplow/tp2" in paths
        assert "/r/{name}" not in paths
        assert b"openapi.json" in (await get(running, "/docs"))[2]
    bridged = Settings.model_validate(
        {
            "collector": {
                "port": 0,
                "bridges": {"analytics_js": True, "amplitude": True},
                "enable_default_redirect": True,
            },
            "security": {"disable_docs": False},
        }
    )
    async with collector(bridged) as running:
        paths = json.loads((await get(running, "/openapi.json"))[2])["paths"]
        assert {"/com.segment/v1/{call}", "/com.amplitude/2/httpapi", "/com.amplitude/2/batch"} <= paths.keys()
        assert "/r/{name}" in paths
    async with collector(plain()) as running:
        assert (await get(running, "/docs"))[0] == (await get(running, "/openapi.json"))[0] == 404


@pytest.mark.parametrize("name", ["none.js", "", "folder", "folder/", "a" * 300, "%00", "sp.js/x", "outside.js"])
async def test_what_is_no_file_is_the_404_of_everything_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "static"
    (folder / "folder").mkdir(parents=True)
    (folder / "sp.js").write_text("plain")
    (tmp_path / "secret").write_text("secret")
    (folder / "outside.js").symlink_to(tmp_path / "secret")
    async with collector(plain(static_dir=folder)) as running:
        status, _, body = await get(running, URL(f"/static/{name}", encoded=True))
        assert (status, body) == (404, b"404 not found")
        assert running.metrics.requests == {("GET", 404): 1}


async def test_files_are_counted_as_they_were_answered_and_read_by_every_page(tmp_path: Path) -> None:
    (tmp_path / "sp.js").write_text("plain")
    async with collector(plain(static_dir=tmp_path)) as running:
        status, headers, body = await get(running, "/static/sp.js", headers={"Origin": "https://shop.example.com"})
        assert (status, body, headers["Vary"]) == (200, b"plain", "Accept-Encoding, Origin")
        assert headers["Access-Control-Allow-Origin"] == "https://shop.example.com"
        known = {"If-None-Match": headers["Etag"]}
        assert (await get(running, "/static/sp.js", headers=known))[0] == 304
        assert (await get(running, "/static/sp.js", headers={"Range": "bytes=1-2"}))[2] == b"la"
        assert (await get(running, "/static/sp.js", headers={"Range": "bytes=9-"}))[0] == 416
        assert running.metrics.requests == {("GET", status): 1 for status in (200, 206, 304, 416)}


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0, deflate;q=0.0, br; q=0", None),
        ("deflate", None),
        ("", None),
        ("br, gzip", "br" if find_spec("brotli") else "gzip"),
    ],
)
async def test_larger_texts_are_compressed_as_the_client_wishes(accepts: str, coding: str | None) -> None:
    settings = Settings.model_validate({"collector": {"port": 0}, "security": {"disable_docs": False}})
    async with collector(settings) as running:
        data = f"GET /docs HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {accepts}\r\n\r\n".encode()
        answer = await exchange(running.port, data)
        assert answer
        assert answer.headers.get("content-encoding") == coding
        assert answer.headers["vary"] == "Accept-Encoding, Origin"
        assert _inflated(answer.body, coding).startswith(b"<!doctype html>")


def _inflated(data: bytes, coding: str | None) -> bytes:
    if coding == "gzip":
        return gzip.decompress(data)
    return bytes(import_module("brotli").decompress(data)) if coding == "br" else data
