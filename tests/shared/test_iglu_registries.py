"""Registries on disk and over HTTP, and the configuration that names them."""

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.iglu.config import BUNDLED, ResolverRefused, load, open_resolver, parse
from shared.iglu.folder import FolderRegistry, schema_keys
from shared.iglu.http import HttpRegistry
from shared.iglu.registry import NOT_FOUND, Failure, Registry
from shared.iglu.resolver import Found
from shared.schema import SchemaKey
from tests.vectors import ROOT

KEY = SchemaKey("com.acme", "cart", "jsonschema", "1-0-0")
SECRET = "3d5f-secret"


def put(root: Path, version: str, text: str = "{}") -> Path:
    file = root / "com.acme" / "cart" / "jsonschema" / version
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A static registry with some versions of one schema, and files that are none."""
    for version in ("1-0-0", "1-0-2", "1-0-10", "2-0-0"):
        put(tmp_path / "schemas", version, json.dumps({"version": version}))
    put(tmp_path / "schemas", "README")
    (tmp_path / "private").mkdir()
    return tmp_path


class Answers:
    """A registry server; `status` and `body` override what the folder has. Only who knows the key is served."""

    def __init__(self, library: Path) -> None:
        self.library = library
        self.status: int | None = None
        self.body = b"oops"
        self.requests = 0
        self.location: str | None = None

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.location is not None:
            return web.Response(status=302, headers={"Location": self.location})
        if self.status is not None:
            return web.Response(status=self.status, body=self.body)
        if request.headers.get("apikey") != SECRET:
            return web.Response(status=403)
        if request.path.endswith("/jsonschema/1"):
            uris = [key.uri for key in schema_keys(self.library / "schemas") if key.model == 1]
            return web.json_response([*uris[::-1], "iglu:com.other/cart/jsonschema/1-0-0", 7])
        file = self.library / request.path.removeprefix("/api/")
        return web.Response(body=file.read_bytes()) if file.is_file() else web.Response(status=404)


@pytest.fixture
def answers(library: Path) -> Answers:
    return Answers(library)


@pytest.fixture
async def server(answers: Answers) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_get("/{path:.*}", answers.answer)
    running = TestServer(app)
    async with running:
        yield running


async def no_pause(_seconds: float) -> None:
    pass


@pytest.fixture
async def remote(server: TestServer) -> AsyncIterator[HttpRegistry]:
    registry = HttpRegistry("r", f"{server.make_url('/api/')}", api_key=SECRET, timeout_s=0.5, sleep=no_pause)
    yield registry
    await registry.close()


@pytest.fixture(params=["folder", "http"])
def registry(request: pytest.FixtureRequest, library: Path, remote: HttpRegistry) -> Registry:
    return remote if request.param == "http" else FolderRegistry("r", library)


async def test_a_schema_is_fetched_by_its_name(registry: Registry) -> None:
    assert await registry.fetch(KEY) == {"version": "1-0-0"}


async def test_an_absent_schema_is_not_found(registry: Registry) -> None:
    assert await registry.fetch(KEY._replace(version="1-0-1")) == NOT_FOUND
    assert await registry.fetch(KEY._replace(vendor="com.nobody")) == NOT_FOUND


async def test_the_versions_of_a_model_are_listed_oldest_first(registry: Registry) -> None:
    versions = await registry.versions("com.acme", "cart", 1)
    assert [key.version for key in versions] == ["1-0-0", "1-0-2", "1-0-10"]
    assert await registry.versions("com.acme", "wagon", 1) == []


@pytest.mark.parametrize("vendor", ["..", ".", "..."])
async def test_a_vendor_leads_out_of_no_folder(library: Path, vendor: str) -> None:
    put(library / "schemas" / "x", "1-0-0")
    (library / "cart" / "jsonschema").mkdir(parents=True)
    (library / "cart" / "jsonschema" / "1-0-0").write_text("{}")
    registry = FolderRegistry("r", library)
    assert await registry.fetch(KEY._replace(vendor=vendor)) == NOT_FOUND
    assert await registry.versions(vendor, "cart", 1) == []


@pytest.mark.parametrize("text", ["{", "[]", "\udcff", "[" * 100_000])
async def test_a_file_that_is_no_json_object_is_a_client_failure(library: Path, text: str) -> None:
    put(library / "schemas", "1-0-0").write_bytes(text.encode("utf-8", "surrogateescape"))
    failure = await FolderRegistry("r", library).fetch(KEY)
    assert isinstance(failure, Failure)
    assert (failure.error, failure.outage) == ("ClientFailure", False)


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (403, b"", Failure("ClientFailure", "Unexpected response code: 403")),
        (429, b"", Failure("ClientFailure", "Unexpected response code: 429", outage=True)),
        (500, b"oops", Failure("RepoFailure", "Unexpected server response: oops", outage=True)),
        (503, b"\xff", Failure("RepoFailure", "Unexpected server response: \ufffd", outage=True)),
        (404, b"{}", NOT_FOUND),
    ],
)
async def test_an_answer_that_is_no_schema_is_a_failure(
    answers: Answers, remote: HttpRegistry, status: int, body: bytes, failure: Failure
) -> None:
    answers.status, answers.body = status, body
    assert await remote.fetch(KEY) == failure


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b"", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_a_client_failure(
    answers: Answers, remote: HttpRegistry, body: bytes
) -> None:
    answers.status, answers.body = 200, body
    failure = await remote.fetch(KEY)
    assert isinstance(failure, Failure)
    assert (failure.error, failure.outage) == ("ClientFailure", False)
    assert str(failure.message).startswith("Could not decode server response. ")


async def test_an_outage_is_tried_again_a_refusal_is_not(answers: Answers, remote: HttpRegistry) -> None:
    answers.status = 503
    await remote.fetch(KEY)
    assert answers.requests == 3
    answers.status, answers.requests = 403, 0
    await remote.fetch(KEY)
    assert answers.requests == 1


async def test_a_key_follows_no_redirect(server: TestServer, answers: Answers, remote: HttpRegistry) -> None:
    answers.location = str(server.make_url("/api/schemas/elsewhere"))
    assert await remote.fetch(KEY) == Failure("ClientFailure", "Unexpected response code: 302")
    assert answers.requests == 1


@pytest.mark.parametrize("location", ["http://a..b/", f"http://{'a' * 64}/", "http://[]@/", "http://[", "ftp://x/"])
async def test_a_redirect_to_what_is_no_address_is_an_outage(
    server: TestServer, answers: Answers, location: str
) -> None:
    answers.location = location
    registry = HttpRegistry("r", str(server.make_url("/api/")), sleep=no_pause)
    failure = await registry.fetch(KEY)
    await registry.close()
    assert isinstance(failure, Failure)
    assert (failure.error, failure.outage) == ("ClientFailure", True)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
async def test_a_registry_whose_name_nobody_can_look_up_is_an_outage(host: str) -> None:
    registry = HttpRegistry("r", f"http://{host}", sleep=no_pause)
    failure = await registry.fetch(KEY)
    await registry.close()
    assert isinstance(failure, Failure)
    assert failure.outage


async def test_a_registry_that_is_not_there_is_an_outage(unused_tcp_port_factory: Callable[[], int]) -> None:
    registry = HttpRegistry("r", f"http://127.0.0.1:{unused_tcp_port_factory()}", sleep=no_pause)
    failure = await registry.fetch(KEY)
    await registry.close()
    assert isinstance(failure, Failure)
    assert (failure.error, failure.outage) == ("ClientFailure", True)


def config(**changes: Any) -> dict[str, Any]:
    repository = {
        "name": "ours",
        "priority": 1,
        "vendorPrefixes": ["com.acme"],
        "connection": {"http": {"uri": "https://iglu.example.com/api", "apikey": SECRET}},
    }
    data = {"cacheSize": 500, "cacheTtl": 600, "repositories": [repository], **changes}
    return {"schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-3", "data": data}


@pytest.mark.parametrize("document", [config(), config()["data"]], ids=["wrapped", "bare"])
def test_a_resolver_file_is_read_with_and_without_its_wrapper(tmp_path: Path, document: Any) -> None:
    (tmp_path / "resolver.json").write_text(json.dumps(document))
    read = load(tmp_path / "resolver.json")
    assert (read.cache_size, read.cache_ttl, read.repositories[0].vendor_prefixes) == (500, 600, ("com.acme",))
    assert SECRET not in repr(read)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (config(repositories=config()["data"]["repositories"] * 2), "more than once: ours"),
        (config(cacheSize="many"), "cacheSize"),
        (config(cachesize=5), "cachesize"),
        (config(repositories=[{"name": "x", "connection": {}}]), "either `http` or `embedded`"),
        (config(repositories=[{"name": "x", "connection": {"http": {"uri": "nowhere"}}}]), "connection.http.uri"),
        ({**config(), "schema": "iglu:com.acme/x/jsonschema/1-0-0"}, "expected iglu:com.snowplowanalytics.iglu"),
        ({**config(), "schema": "nonsense"}, "INVALID_IGLUURI"),
        ([], "resolver.json"),
    ],
)
def test_a_configuration_that_can_not_be_used_is_refused_by_name(document: Any, problem: str) -> None:
    with pytest.raises(ResolverRefused, match=problem) as refused:
        parse(document, "resolver.json")
    assert all(line.startswith("resolver.json") for line in refused.value.problems)


@pytest.mark.parametrize("text", ["{", "a: b: c", None])
def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "iglu.yml").write_text(text)
    with pytest.raises(ResolverRefused, match=r"iglu\.yml"):
        load(tmp_path / "iglu.yml")


def test_an_embedded_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    read = parse({"repositories": [{"name": "x", "connection": {"embedded": {"path": "nowhere"}}}]}, "iglu.yml")
    with pytest.raises(ResolverRefused, match="nowhere is not a folder"):
        open_resolver(read, tmp_path, time.time)


async def test_an_embedded_path_is_relative_to_the_configuration(library: Path) -> None:
    read = parse({"repositories": [{"name": "x", "connection": {"embedded": {"path": "schemas"}}}]}, "iglu.yml")
    result = await open_resolver(read, library, time.time).lookup(KEY)
    assert isinstance(result, Found)
    assert result.document == {"version": "1-0-0"}


@pytest.mark.parametrize("repositories", [[], [{"name": "x", "connection": {"embedded": {"path": str(BUNDLED)}}}]])
async def test_the_bundled_schemas_are_there_once_whatever_the_file_says(
    tmp_path: Path, repositories: list[dict[str, Any]]
) -> None:
    resolver = open_resolver(parse({"repositories": repositories}, "iglu.yml"), tmp_path, time.time)
    envelope = SchemaKey("com.snowplowanalytics.snowplow", "payload_data", "jsonschema", "1-0-4")
    assert isinstance(await resolver.lookup(envelope), Found)
    assert len(resolver.registries) == 1


async def test_the_default_configuration_has_the_schemas_of_the_protocol() -> None:
    resolver = open_resolver(load(ROOT / "config" / "iglu.yml"), ROOT / "config", time.time)
    wrapper = SchemaKey("com.snowplowanalytics.snowplow", "contexts", "jsonschema", "1-0-1")
    assert isinstance(await resolver.lookup(wrapper), Found)
