"""What each enrichment costs, and all that need no network and no script together, on mixed events of a web site.

One event in ten comes from an address and a user agent that were never seen, as between sessions of real users;
the databases and lists are made here, about as large as the real ones. Each event is parsed just before, as in the
pipeline, and what an enrichment changes is applied, off the clock, before the next one looks. The median is the cost
of an event with a known user agent and address; the mean has those of new ones in it.
"""

import asyncio
import base64
import json
import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from benchmarks.pageviews import event, record_of, to_base64, useragent
from benchmarks.result import Result, unit_s
from enricher.enrichments import ORDER
from enricher.enrichments.contract import Draft, Enrichment, Patch, Query, Resources
from enricher.iglu.resolver import IgluResolver
from enricher.options import Options
from enricher.pipeline import Pipeline
from shared.badrow import Processor
from shared.event import INDEX
from shared.iglu.config import ResolverConfig, open_resolver

EVENTS = 5_000
#: The fastest one counts: what else the machine does only ever adds.
ROUNDS = 3
_MESSAGE = "0192f0c1-2c4a-7f3e-8a51-0b7c7f3b7c11"
_TOGETHER = "all pure ones"
_SNOWPLOW = "com.snowplowanalytics.snowplow"
_COOKIES = "Cookie: _sp_id.1fff=8f5f2c5e.1735000000.3.1735000100.1735000000.4e5f2d3b; sp={}; consent=yes; theme=dark"

#: What is measured, with options; what asks the network is not, nor the ways of the first evnt.
PURE: dict[str, dict[str, Any]] = {
    "iab": {name: {"database": f"{name}.txt"} for name in ("ipFile", "excludeUseragentFile", "includeUseragentFile")},
    "user_agent_utils": {},
    "ua_parser": {},
    "referer_parser": {"internalDomains": ["shop.example.com"]},
    "campaign_attribution": {
        "fields": {
            f"mkt{name}": [f"utm_{name.lower()}"] for name in ("Medium", "Source", "Term", "Content", "Campaign")
        }
    },
    "cross_navigation": {},
    "event_fingerprint": {},
    "cookie_extractor": {"cookies": ["sp"]},
    "http_header_extractor": {"headersPattern": "(?i)accept-language"},
    "yauaa": {},
    "ip_lookups": {name: {"database": f"{name}.mmdb"} for name in ("geo", "isp", "domain", "connectionType", "asn")},
    "asn_lookups": {"botAsns": [{"asn": number} for number in range(64_500, 64_600)]},
    "bot_detection": dict.fromkeys(("useYauaa", "useIab", "useAsnLookups", "useClientSideDetection"), True),
    "anon_ip": {"anonOctets": 1},
    "pii": {
        "pii": [
            {"pojo": {"field": "user_ipaddress"}},
            {"pojo": {"field": "domain_userid"}},
            {
                "json": {
                    "field": "contexts",
                    "schemaCriterion": f"iglu:{_SNOWPLOW}/client_session/jsonschema/1-*-*",
                    "jsonPath": "$.userId",
                }
            },
        ],
        "strategy": {"pseudonymize": {"hashFunction": "SHA-256", "salt": "pepper"}},
    },
    "event_spec": {"database": "specs.json"},
}

_CLICK = {
    "schema": f"iglu:{_SNOWPLOW}/unstruct_event/jsonschema/1-0-0",
    "data": {
        "schema": f"iglu:{_SNOWPLOW}/link_click/jsonschema/1-0-1",
        "data": {"targetUrl": "https://shop.example.com/products/hats", "elementId": "hats", "elementClasses": ["nav"]},
    },
}
#: What makes a page view another kind of event. Of ten: four page views, three pings, two clicks, one structured.
_KINDS: tuple[dict[str, str], ...] = (
    *[{}] * 4,
    *[{"e": "pp", "pp_mix": "0", "pp_max": "0", "pp_miy": "0", "pp_may": "800"}] * 3,
    *[{"e": "ue", "ue_px": to_base64(_CLICK)}] * 2,
    {"e": "se", "se_ca": "shop", "se_ac": "add", "se_la": "shoes", "se_va": "2"},
)

#: For comparison: what a small function of the operator costs.
SCRIPTS: dict[str, dict[str, Any]] = {
    "python_script": {"module": "script.py"},
    "javascript_script": {
        "script": base64.urlsafe_b64encode(
            b"function process(e) { if (e.getApp_id() == 'office') { e.drop() } "
            b"return [{schema: 'iglu:com.acme/x/jsonschema/1-0-0', data: {page: e.getPage_urlpath()}}] }"
        ).decode()
    },
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_files(place)
        taken = min((together(place) for _ in range(ROUNDS)), key=lambda found: median(found[_TOGETHER]))
        taken |= measured(prepared(place, SCRIPTS))
    unit = unit_s()
    print(f"{'':24} {'median':>7}    {'mean':>7}    of an event")
    for name, seconds in taken.items():
        middle, mean = median(seconds), mean_of(seconds)
        print(f"{name:24} {middle * 1e6:7.2f} µs {mean * 1e6:7.2f} µs {middle / unit:6.2f} json.loads")
    print(Result("enrichments", "all pure ones", 1 / median(taken[_TOGETHER]), None, "", 1 / 35e-6).line())


def together(place: Path) -> dict[str, list[float]]:
    """Of each of the pure ones, and of all."""
    taken = measured(prepared(place, PURE))
    return taken | {_TOGETHER: [sum(one) for one in zip(*taken.values(), strict=True)]}


def mean_of(seconds: Sequence[float]) -> float:
    """Without the slowest in a hundred, in which somebody else had the processor."""
    return fmean(sorted(seconds)[: len(seconds) * 99 // 100])


def prepared(place: Path, options: dict[str, dict[str, Any]]) -> list[Enrichment]:
    """Fresh, with empty memories, in the order of the pipeline."""
    resources = Resources(place, place)
    made = []
    for step in ORDER:
        if step.name in options:
            state = step.module.prepare(step.module.Config.model_validate(options[step.name]), resources)
            made.append(Enrichment(step.name, step.name, None, state, step.module.enrich))
    return made


def measured(enrichments: Sequence[Enrichment]) -> dict[str, list[float]]:
    """Seconds of each event in each enrichment, without what looking at the clock takes there."""
    idle = Enrichment("idle", "idle", None, None, lambda draft, state: None)
    taken: dict[str, list[float]] = {one.name: [] for one in (*enrichments, idle)}
    for draft in events():
        for one in (*enrichments, idle):
            seconds, patch = _timed(one.enrich, draft, one.state)
            taken[one.name].append(seconds)
            apply(draft, patch)
    nothing = median(taken.pop("idle"))
    return {name: [one - nothing for one in seconds] for name, seconds in taken.items()}


def _timed(enrich: Callable[..., Patch | None], draft: Draft, state: Any) -> tuple[float, Patch | None]:
    start = time.perf_counter()
    patch = enrich(draft, state)
    return time.perf_counter() - start, patch


def apply(draft: Draft, patch: Patch | None) -> None:
    if patch is None:
        return
    for column, text in patch.fields.items():
        draft.values[INDEX[column]] = text
    if patch.contexts or patch.derived is not None:
        draft.derived = (*patch.contexts, *(draft.derived if patch.derived is None else patch.derived))
    if patch.entities is not None:
        draft.contexts = patch.entities


def events() -> Iterator[Draft]:
    """Each parsed just before it is handed out, as in the pipeline; nine of ten from known users."""
    seen: list[Draft] = []

    def keep(draft: Draft, _: None) -> None:
        seen.append(draft)

    spy = Enrichment("spy", "spy", None, None, keep)
    resolver = IgluResolver(open_resolver(ResolverConfig(), Path(), time.time), time.time, 500, 50)
    pipeline = Pipeline(resolver.cached, lambda: (spy,), Options(Processor("evnt-enrich", "0.1.0")))
    random_ = random.Random(1)
    for record in list(_records(random_)):
        _drive(pipeline.process(record, _MESSAGE, 1_735_000_000_000), resolver)
        draft = seen.pop()
        _dress(draft, random_)
        yield draft


def _records(random_: random.Random) -> Iterator[bytes]:
    for number in range(EVENTS):
        agent = useragent(number % 50 if random_.random() < 0.9 else 1_000_000 + number)
        yield record_of(event(random_, number) | random_.choice(_KINDS), number=number, agent=agent)


def _drive(run: Generator[Query, Any, Any], resolver: IgluResolver) -> None:
    answer = None
    with suppress(StopIteration):
        while True:
            answer = asyncio.run(resolver.resolve(run.send(answer).question))


def _dress(draft: Draft, random_: random.Random) -> None:
    """A user that is new once in ten times, with an address and an id that the tracker says twice, and cookies."""
    number = random_.getrandbits(24) if random_.random() < 0.1 else random_.randrange(200)
    user = f"{number:08x}-1c9f-4be9-9d0d-7d5f9b1e2c3a"
    draft.values[INDEX["user_ipaddress"]] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    draft.values[INDEX["domain_userid"]] = user
    for entity in draft.contexts:
        if "userId" in entity.data:
            entity.data["userId"] = user
    draft.payload.headers = [*(draft.payload.headers or ()), _COOKIES.format(user)]
    draft.derived = ()


def make_files(place: Path) -> None:
    names = {"en": "Somewhere", "de": "Irgendwo", "fr": "Quelque part"}
    country = {"iso_code": "DE", "names": names}
    shared: dict[str, Any] = {"country": country, "city": {"names": names}, "postal": {"code": "10115"}}
    location = {"latitude": 52.5323, "longitude": 13.3846, "time_zone": "Europe/Berlin"}
    made: dict[str, dict[str, Any]] = {
        "geo": {**shared, "subdivisions": [{"iso_code": "BE", "names": names}], "location": location},
        "isp": {"isp": "Provider", "organization": "Organisation", "autonomous_system_number": 64_500},
        "domain": {"domain": "example.net"},
        "connectionType": {"connection_type": "Cable/DSL"},
        "asn": {"autonomous_system_number": 64_501, "autonomous_system_organization": "Organisation"},
    }
    for name, record in made.items():
        writer = MMDBWriter(6, "Test", ipv4_compatible=True)
        for network in range(256):
            writer.insert_network(IPSet([f"10.{network}.0.0/16"]), {**record, "number": network})
        writer.to_db_file(str(place / f"{name}.mmdb"))
    (place / "ipFile.txt").write_text("\n".join(f"203.0.{number}.0/24" for number in range(250)))
    (place / "includeUseragentFile.txt").write_text("\n".join(f"agent{n}|1|0" for n in range(50)) + "\nmozilla|1|1\n")
    (place / "excludeUseragentFile.txt").write_text("\n".join(f"robot{number}|1||0|2|0" for number in range(400)))
    constraint = {"type": "object", "properties": {"page_urlpath": {"type": "string", "pattern": "^/products"}}}
    web_page = {"schemaKey": f"iglu:{_SNOWPLOW}/web_page/jsonschema/1-0-0", "minCardinality": 1}
    specs = [
        {"id": name, "name": name, "schemaKey": uri, "entities": [web_page], "constraint": constraint}
        for name, uri in (
            ("products", f"iglu:{_SNOWPLOW}/page_view/jsonschema/1-0-0"),
            ("reading", f"iglu:{_SNOWPLOW}/page_ping/jsonschema/1-0-0"),
            ("cart", "iglu:com.acme/cart/jsonschema/1-0-0"),
        )
    ]
    (place / "specs.json").write_text(json.dumps({"eventSpecs": specs}))
    (place / "script.py").write_text(
        "def enrich(event):\n"
        "    if event['app_id'] == 'office':\n"
        "        event.drop()\n"
        "    return [{'schema': 'iglu:com.acme/x/jsonschema/1-0-0', 'data': {'page': event['page_urlpath']}}]\n"
    )


if __name__ == "__main__":
    main()
