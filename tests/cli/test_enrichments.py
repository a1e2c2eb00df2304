"""`evnt enrichments`, as an operator runs it."""

import asyncio
import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from cli.enrichments import app
from shared import tsv
from shared.event import INDEX, WIDTH
from shared.process import EXIT_MISCONFIGURED, Misconfigured
from tests.cli.command import ROOT, evnt

CONTEXTS = json.dumps(
    {"schema": "iglu:a/contexts/jsonschema/1-0-1", "data": [{"schema": "iglu:a/b/j/1-0-0", "data": 1}]}
)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def ran(folder: Path, *arguments: str) -> Done:
    """The command in this process, which starts a second faster than one of its own."""
    with contextlib.chdir(folder):
        result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, Misconfigured):
        return Done(EXIT_MISCONFIGURED, result.stdout, str(result.exception))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def configured(folder: Path, name: str, parameters: Any, *, version: str, enabled: bool = True, **more: Any) -> None:
    vendor = more.get("vendor", "com.snowplowanalytics.snowplow")
    data = {"vendor": vendor, "name": name, "enabled": enabled, "parameters": parameters}
    place = folder / "config/enrichments"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{name}.yml").write_text(
        yaml.safe_dump({"schema": f"iglu:{vendor}/{name}/jsonschema/{version}", "data": data})
    )


def recording(folder: Path, *events: dict[str, str]) -> str:
    lines = []
    for event in events:
        values = [""] * WIDTH
        for column, text in event.items():
            values[INDEX[column]] = text
        lines.append(tsv.encode(values))
    (folder / "events.tsv").write_bytes(b"\n".join(lines) + b"\n")
    return "events.tsv"


def test_list_says_what_is_on_and_in_which_order(tmp_path: Path) -> None:
    configured(tmp_path, "anon_ip", {"anonOctets": 1}, version="1-0-0")
    listed = evnt(tmp_path, "enrichments", "list", "--json").stdout
    rows = [json.loads(line) for line in listed.splitlines()]
    assert [row["name"] for row in rows if row["on"]] == [
        "ua_parser",
        "cross_navigation",
        "event_fingerprint",
        "anon_ip",
    ]
    assert [row["files"] for row in rows if row["name"] == "anon_ip"] == [["anon_ip.yml"]]
    table = ran(tmp_path, "list").stdout
    assert all(row["name"] in table for row in rows)
    options = ran(tmp_path, "list", "--options").stdout
    assert "  anonOctets (required)\n      How many of the four parts" in options
    assert "  api.http.timeout (5000)\n      Milliseconds that an answer may take." in options
    assert "  pii.json.jsonPath (required)\n" in options
    assert "page_referrer the previous one's. page_title, and" in options
    assert [each for each in options.splitlines() if not each.startswith("  ") and ": " not in each] == []


def test_check_of_what_comes_with_evnt(tmp_path: Path) -> None:
    done = ran(tmp_path, "check", "--folder", str(ROOT / "config/enrichments"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("on and complete: ua_parser, ")


def test_check_says_what_is_wrong_and_what_is_missing(tmp_path: Path) -> None:
    configured(tmp_path, "anon_ip", {"anonOctets": 7}, version="1-0-0")
    geo = {"database": "GeoLite2-City.mmdb", "uri": "https://files.example/maxmind"}
    isp = {"database": "GeoIP2-ISP.mmdb", "uri": "../maxmind"}
    configured(tmp_path, "ip_lookups", {"geo": geo, "isp": isp}, version="2-0-0")
    done = ran(tmp_path, "check")
    assert done.returncode == 1
    assert "anon_ip.yml: data.parameters.anonOctets: IPv4 address octets" in done.stdout
    assert (
        "var/enrichments/ip_geo is missing: `evnt enrichments fetch` gets it from https://files.example" in done.stdout
    )
    assert "config/enrichments/../maxmind/GeoIP2-ISP.mmdb is missing: put it there" in done.stdout


def test_check_tries_scripts(tmp_path: Path) -> None:
    configured(tmp_path, "python_script", {"module": "s.py"}, version="1-0-0", vendor="io.evnt.enrichments")
    (tmp_path / "config/enrichments/s.py").write_text("def enrich(event")
    done = ran(tmp_path, "check")
    assert done.returncode == 1
    assert "SyntaxError" in done.stdout


def test_check_says_which_data_file_can_not_be_read(tmp_path: Path) -> None:
    configured(tmp_path, "referer_parser", {"internalDomains": [], "database": "r", "uri": "data"}, version="2-0-0")
    (tmp_path / "config/enrichments/data").mkdir()
    for content, said in ((b"\xff", "'utf-8' codec can't decode"), (b"{" + b'"a": {' * 200_000, "RecursionError")):
        (tmp_path / "config/enrichments/data/r").write_bytes(content)
        done = ran(tmp_path, "check")
        assert (done.returncode, done.stderr) == (1, "")
        assert "referer_parser.yml: " in done.stdout
        assert said in done.stdout


@contextmanager
def serving(answers: dict[str, bytes]) -> Iterator[str]:
    """A web server in a thread, since the command runs in a process that is waited for."""

    async def handle(request: web.Request) -> web.Response:
        body = answers.get(request.path)
        return web.Response(body=body) if body is not None else web.Response(status=404)

    site = web.Application()
    site.router.add_get("/{path:.*}", handle)
    loop = asyncio.new_event_loop()
    server = TestServer(site)
    loop.run_until_complete(server.start_server())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(server.close())
        loop.close()


def test_fetch_gets_what_configurations_name(tmp_path: Path) -> None:
    database = json.dumps({"search": {"Engine": {"domains": ["engine.example"], "parameters": ["q"]}}}).encode()
    with serving({"/third-party/r.json": database}) as url:
        parameters = {"internalDomains": [], "database": "r.json", "uri": f"{url}/third-party"}
        configured(tmp_path, "referer_parser", parameters, version="2-0-0")
        assert ran(tmp_path, "check").returncode == 1
        done = ran(tmp_path, "fetch")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "var/enrichments/referer-parser.json").read_bytes() == database
    assert ran(tmp_path, "check").returncode == 0


def test_fetch_of_referers_from_a_given_address(tmp_path: Path) -> None:
    with serving({"/r.json": b"{}"}) as url:
        done = ran(tmp_path, "fetch", "referers", "--url", f"{url}/r.json")
        assert done.returncode == 0
        missing = ran(tmp_path, "fetch", "referers", "--url", f"{url}/no.json")
    assert (tmp_path / "var/enrichments/referer-parser.json").read_bytes() == b"{}"
    assert missing.returncode == 78
    assert "answered with status 404" in missing.stderr
    assert list((tmp_path / "var/enrichments").iterdir()) == [tmp_path / "var/enrichments/referer-parser.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no enrichment that is on names a file by a web address"),
        (("nonsense",), "there is no enrichment nonsense"),
        (("referers", "--url", "s3://bucket/r.json"), "only http and https can be fetched"),
        (("ip_lookups", "--url", "http://127.0.0.1:1/x"), "does not have exactly one file"),
    ],
)
def test_fetch_says_why_not(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = ran(tmp_path, "fetch", *arguments)
    assert done.returncode == 78
    assert said in done.stderr


SCRIPT = """
def enrich(event):
    if event["app_id"] == "office":
        event.drop()
        return None
    event["user_id"] = event["user_id"].lower()
    return [{"schema": "iglu:com.acme/n/jsonschema/1-0-0", "data": {"n": len(event.contexts)}}]
"""


def test_a_function_on_recorded_events(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    events = recording(
        tmp_path, {"app_id": "office"}, {"user_id": "ANN", "contexts": CONTEXTS}, {"user_id": "bob"}, {"app_id": "x"}
    )
    done = ran(tmp_path, "test", "--script", "s.py", events)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "4 events, 1 dropped, 1 failed",
        "  columns: user_id (1)",
        "  entities: iglu:com.acme/n/jsonschema/1-0-0 (2)",
        "  failures: Error during execution: AttributeError: 'NoneType' object has no attribute 'lower' (1)",
    ]
    assert "µs a call, 0 over budget" in lines[4]


def test_each_effect_as_json_from_a_packed_recording(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    recording(tmp_path, {"user_id": "ANN", "contexts": CONTEXTS})
    (tmp_path / "events.tsv.gz").write_bytes(gzip.compress((tmp_path / "events.tsv").read_bytes()))
    done = ran(tmp_path, "test", "--script", "s.py", "--json", "events.tsv.gz")
    assert json.loads(done.stdout) == {
        "event": "events.tsv.gz:1",
        "columns": {"user_id": ["ANN", "ann"]},
        "entities": [{"schema": "iglu:com.acme/n/jsonschema/1-0-0", "data": {"n": 1}}],
        "failures": [],
        "dropped": False,
    }


def test_two_functions_compared(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def enrich(event): event['app_id'] = 'a'")
    (tmp_path / "b.py").write_text("def enrich(event): event['app_id'] = event['user_id'] or 'a'")
    events = recording(tmp_path, {"user_id": "u"}, {"user_id": ""})
    (tmp_path / "events.tsv").write_bytes((tmp_path / "events.tsv").read_bytes() + b"\t" * (WIDTH - 1) + b"\n")
    done = ran(tmp_path, "test", "--script", "a.py", "--shadow", "b.py", events)
    assert done.returncode == 0
    assert ", 2 agreed, 1 differed" in done.stdout


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(SCRIPT)
    (tmp_path / "x.tsv").write_text("a\tb\n")
    done = ran(tmp_path, "test", "--script", "s.py", "x.tsv")
    assert done.returncode == 78
    assert "x.tsv:1 is not an enriched event: 2 columns instead of 131" in done.stderr
    done = ran(tmp_path, "test", "x.tsv")
    assert "no python_script or javascript_script is on" in done.stderr
    (tmp_path / "x.tsv.gz").write_text("not packed")
    for missing in ("y.tsv", "x.tsv.gz"):
        done = ran(tmp_path, "test", "--script", "s.py", missing)
        assert done.returncode == 78
        assert f"{missing} can't be read" in done.stderr


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    done = ran(tmp_path, "check", "--folder", "nowhere")
    assert done.returncode == 78
    assert "there is no folder nowhere" in done.stderr


def test_nothing_is_fetched_or_tried_by_wrong_configurations(tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "one.yml").write_text("schema: iglu:com.snowplowanalytics.snowplow/anon_ipp/jsonschema/1-0-1\ndata: {}\n")
    for arguments in (("fetch",), ("test", "x.tsv")):
        done = ran(tmp_path, *arguments, "--folder", "wrong")
        assert done.returncode == 78
        assert "wrong/one.yml: data.vendor" in done.stderr
