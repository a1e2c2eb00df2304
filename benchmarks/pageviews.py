"""Page views as the JavaScript tracker posts them, each different: what the enricher's benchmark feeds on."""

import base64
import json
import random
import uuid
from collections.abc import Sequence
from typing import Any

from shared.payload import Encoder

#: Milliseconds since 1970 of the first event.
_BEGIN = 1_735_000_000_000

_ENCODER = Encoder("evnt-collector-0.1.0-rabbitmq")
_PATHS = ("products/shoes", "products/hats", "blog/how-to-tie", "account/orders", "straße/größe", "search")
_TITLES = ("Shoes, all of them", "Hats & caps", "Wie man Schuhe bindet", "Your orders", "Größentabelle", "Search")
_REFERRERS = (
    "https://search.example.org/?q=shoes",
    "https://news.example.net/2024/12/a-story",
    "",
    "https://t.example/x",
)
_SCREENS = ("1920x1080", "1440x900", "390x844", "2560x1440")


def useragent(number: int) -> str:
    major, minor = divmod(number, 50)
    return (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{100 + major % 40}.0.{minor * 13}.{number % 977} Safari/537.36"
    )


def event(random_: random.Random, number: int) -> dict[str, str]:
    """One tracker event with web_page, http_client_hints and client_session in base64."""
    place = random_.randrange(len(_PATHS))
    moment = _BEGIN + number * 17
    campaign = f"?utm_source=news&utm_medium=mail&id={number}" if number % 3 == 0 else f"?id={number}"
    return {
        "e": "pv",
        "eid": _uuid(random_),
        "tv": "js-4.6.8",
        "tna": "sp",
        "aid": "shop",
        "p": "web",
        "cookie": "1",
        "lang": "en-GB",
        "res": _SCREENS[number % 4],
        "vp": "1280x720",
        "ds": f"1280x{3000 + number % 900}",
        "cd": "24",
        "tz": "Europe/Berlin",
        "cs": "UTF-8",
        "dtm": str(moment),
        "stm": str(moment + 100),
        "vid": str(1 + number % 40),
        "sid": _uuid(random_),
        "duid": _uuid(random_),
        "url": f"https://shop.example.com/{_PATHS[place]}{campaign}",
        "refr": _REFERRERS[number % 4] or "https://shop.example.com/",
        "page": _TITLES[place],
        "cx": to_base64(_contexts(random_, number)),
    }


def _contexts(random_: random.Random, number: int) -> dict[str, Any]:
    snowplow = "iglu:com.snowplowanalytics.snowplow"
    brands = [{"brand": brand, "version": "130"} for brand in ("Chromium", "Google Chrome", "Not?A_Brand")]
    hints = {
        "isMobile": False,
        "brands": brands,
        "architecture": "x86",
        "model": "",
        "platform": "Windows",
        "uaFullVersion": "130.0.6723.92",
        "platformVersion": "15.0.0",
    }
    session = {
        "userId": _uuid(random_),
        "sessionId": _uuid(random_),
        "sessionIndex": 1 + number % 40,
        "eventIndex": 1 + number % 20,
        "previousSessionId": _uuid(random_),
        "storageMechanism": "COOKIE_1",
        "firstEventId": _uuid(random_),
        "firstEventTimestamp": "2024-12-24T00:26:40.000Z",
    }
    entities = [
        {"schema": f"{snowplow}/web_page/jsonschema/1-0-0", "data": {"id": _uuid(random_)}},
        {"schema": "iglu:org.ietf/http_client_hints/jsonschema/1-0-0", "data": hints},
        {"schema": f"{snowplow}/client_session/jsonschema/1-0-2", "data": session},
    ]
    return {"schema": f"{snowplow}/contexts/jsonschema/1-0-0", "data": entities}


def _uuid(random_: random.Random) -> str:
    return str(uuid.UUID(int=random_.getrandbits(128), version=4))


def to_base64(value: Any) -> str:
    """As trackers encode JSON: URL-safe, without padding."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def body(events: Sequence[dict[str, str]]) -> bytes:
    schema = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
    return json.dumps({"schema": schema, "data": list(events)}, separators=(",", ":"), ensure_ascii=False).encode()


def record_of(*events: dict[str, str], number: int = 0, agent: str = useragent(0)) -> bytes:
    """One POST as the collector puts it on the raw stream."""
    headers = [
        b"Host: collector.example.com",
        b"Connection: keep-alive",
        b"Accept: */*",
        b"Accept-Encoding: gzip, deflate, br, zstd",
        b"Accept-Language: en-GB,en;q=0.9",
        b"Origin: https://shop.example.com",
        b"Referer: https://shop.example.com/",
        b"User-Agent: " + agent.encode(),
    ]
    return _ENCODER.encode(
        b"192.0.2.%d" % (number % 250),
        _BEGIN + number * 17 + 200,
        headers,
        b"8f5f2c5e-1d2c-4a8b-9c3d-%012d" % number,
        user_agent=agent.encode(),
        referer_uri=b"https://shop.example.com/",
        path=b"/com.snowplowanalytics.snowplow/tp2",
        body=body(events),
        content_type=b"application/json",
        hostname=b"collector.example.com",
    )


def records(count: int, events_each: int, known_agents: float, seed: int = 1) -> list[bytes]:
    """Collector payloads. known_agents: share of the requests whose user agent is one of fifty that repeat."""
    random_ = random.Random(seed)
    made = []
    for number in range(count):
        known = random_.random() < known_agents
        agent = useragent(number % 50 if known else 1_000 + seed * 1_000_000 + number)
        events = [event(random_, number * events_each + offset) for offset in range(events_each)]
        made.append(record_of(*events, number=number, agent=agent))
    return made
