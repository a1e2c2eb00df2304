"""The real process: a changed file takes effect without a restart, an invalid one does not, services are asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.identity import now_ms, uuid7
from shared.settings import SharedSettings
from shared.stream import open_publisher, open_subscriber
from shared.stream.contract import Message, Publisher, Subscriber
from tests.enricher.harness import columns, post
from tests.enricher.test_process import enricher, variables

COOKIE = "iglu:org.ietf/http_cookie/jsonschema/1-0-0"


def configure(folder: Path, name: str, parameters: Any, version: str, vendor: str) -> None:
    folder.mkdir(exist_ok=True)
    data = {"vendor": vendor, "name": name, "enabled": True, "parameters": parameters}
    document = {"schema": f"iglu:{vendor}/{name}/jsonschema/{version}", "data": data}
    fresh = folder / "fresh"
    fresh.write_text(yaml.safe_dump(document))
    fresh.replace(folder / f"{name}.yml")


def anonymise(folder: Path, octets: int) -> None:
    configure(folder, "anon_ip", {"anonOctets": octets}, "1-0-0", "com.snowplowanalytics.snowplow")


async def enriched(publisher: Publisher, subscriber: Subscriber) -> dict[str, str]:
    """What becomes of one event."""
    body = post({"e": "pv", "p": "web", "tv": "js", "ip": "10.1.2.3", "uid": "ann"})
    sent = Message(body, uuid7(), now_ms(), "collector-payload", "application/x-thrift", {"payloads": 1})
    await publisher.publish("raw", [sent])
    (delivery,) = await subscriber.receive(1, 30)
    await subscriber.ack([delivery])
    return columns(delivery.message.body)


async def until_address_is(address: str, publisher: Publisher, subscriber: Subscriber) -> None:
    async with asyncio.timeout(30):
        while (await enriched(publisher, subscriber))["user_ipaddress"] != address:
            continue


async def test_reload_and_refusal(tmp_path: Path) -> None:
    folder = tmp_path / "enrichments"
    anonymise(folder, 1)
    options = variables(tmp_path / "data", enrichments=str(folder), reload_seconds="0.05")
    settings = SharedSettings(data_dir=tmp_path / "data")
    with enricher(options) as process:
        async with open_publisher(settings) as publisher, open_subscriber(settings, "enriched", 10) as subscriber:
            assert (await enriched(publisher, subscriber))["user_ipaddress"] == "10.1.2.x"
            anonymise(folder, 2)
            await until_address_is("10.1.x.x", publisher, subscriber)
            anonymise(folder, 7)
            await asyncio.sleep(0.3)
            assert (await enriched(publisher, subscriber))["user_ipaddress"] == "10.1.x.x"
            anonymise(folder, 3)
            await until_address_is("10.x.x.x", publisher, subscriber)
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert said.count("enrichments.refused") == 1
    assert "IPv4 address octets to anonymize must be 1, 2, 3 or 4" in said


async def test_a_service_is_asked(tmp_path: Path) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"name": "tier", "value": "gold"})

    app = web.Application()
    app.router.add_get("/{user}", answer)
    async with TestServer(app) as server:
        parameters = {
            "inputs": [{"key": "user", "pojo": {"field": "user_id"}}],
            "api": {"http": {"method": "GET", "uri": f"{server.make_url('/')}{{{{user}}}}"}},
            "outputs": [{"schema": COOKIE, "json": {"jsonPath": "$"}}],
            "cache": {"size": 10, "ttl": 60},
        }
        folder = tmp_path / "enrichments"
        vendor = "com.snowplowanalytics.snowplow.enrichments"
        configure(folder, "api_request_enrichment_config", parameters, "1-0-2", vendor)
        settings = SharedSettings(data_dir=tmp_path / "data")
        with enricher(variables(tmp_path / "data", enrichments=str(folder))):
            async with open_publisher(settings) as publisher, open_subscriber(settings, "enriched", 10) as subscriber:
                lines = [await enriched(publisher, subscriber) for _ in range(2)]
    assert asked == ["/ann"]
    for line in lines:
        attached = {one["schema"]: one["data"] for one in json.loads(line["derived_contexts"])["data"]}
        assert attached[COOKIE] == {"name": "tier", "value": "gold"}
