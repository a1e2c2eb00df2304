"""Turns a vector's configuration and input into what evnt makes of it. One function per enrichment."""

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import jsonschema
import yaml
from pydantic import SecretStr

from enricher import attributes
from enricher.enrichments import (
    ORDER,
    anon_ip,
    api_request,
    asn_lookups,
    bot_detection,
    campaign_attribution,
    cookie_extractor,
    cross_navigation,
    currency_conversion,
    event_fingerprint,
    event_spec,
    http_header_extractor,
    iab,
    ip_lookups,
    javascript_script,
    pii,
    referer_parser,
    sql_query,
    ua_parser,
    user_agent_utils,
    weather,
    yauaa,
)
from enricher.enrichments.contract import Answer, Draft, EnrichmentRefused, Failure, Patch, Query, Resources
from enricher.enrichments.loading import choose, configurations, validated
from enricher.enrichments.parts import rows
from enricher.enrichments.parts.inputs import MISSING, criterion
from enricher.enrichments.parts.jsonpath import InvalidPath, compiled
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.questions import HttpQuestion
from enricher.lookups.memory import Memory
from enricher.selfdescribing import family
from shared.event import FIELDS, INDEX
from tests.enricher.enrichments.drafts import applied, derived, documents, draft, entities
from tests.vectors import folder

Outcome = dict[str, Any]


class Failed(Exception):
    """What evnt refuses or reports: `messages` at configuration time, `failures` of the event."""

    def __init__(self, messages: list[str], failures: tuple[Failure, ...] = (), stage: str | None = None) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages
        self.failures = failures
        self.stage = stage


class Case:
    """A vector, and a folder for the files it needs."""

    def __init__(self, vector: Mapping[str, Any], place: Path) -> None:
        self.config: Any = vector.get("config") or {}
        self.input: Any = vector["input"]
        self.expected: Any = vector.get("expected") or {}
        self.place = place

    def draft(self, **more: Any) -> Draft:
        given = self.input
        event = given.get("event") if isinstance(given.get("event"), dict) else given
        event = {**(event or {})}
        inside = {name: event.pop(name, None) for name in ("contexts", "unstruct_event", "derived_contexts")}
        return draft(
            event,
            headers=given.get("headers") or (),
            contexts=given.get("contexts") or inside["contexts"] or (),
            unstruct=given.get("unstruct_event") or inside["unstruct_event"],
            derived=given.get("derived_contexts") or inside["derived_contexts"] or (),
            **more,
        )

    def config_of(self, module: ModuleType, parameters: Mapping[str, Any] | None = None) -> Any:
        step = next(step for step in ORDER if step.module is module)
        config, problems = validated(step, self.config if parameters is None else parameters)
        if problems:
            raise Failed([problem.message for problem in problems], stage="config")
        return config

    def state(self, module: ModuleType, parameters: Mapping[str, Any] | None = None) -> Any:
        config = self.config_of(module, parameters)
        try:
            return module.prepare(config, Resources(self.place, self.place))
        except EnrichmentRefused as refused:
            raise Failed(str(refused).split("; "), stage="config") from refused

    def assets(self, module: ModuleType) -> Outcome:
        return {"assets": [[one.uri, f"./{one.name}"] for one in module.assets(self.config_of(module))]}

    def write(self, name: str, text: str) -> None:
        (self.place / name).write_text(text, encoding="utf-8")


def parsed(config: Parameters) -> Outcome:
    """Every option at whatever depth, under Snowplow's name for it; groups of options beside what is in them."""
    found: Outcome = {}
    for name, field in type(config).model_fields.items():
        option = getattr(config, name)
        if isinstance(option, Parameters):
            found |= parsed(option)
        found[field.alias or name] = _plain(option)
    return found


def _plain(option: Any) -> Any:
    """As it stood in the file."""
    if isinstance(option, tuple):
        return [_plain(one) for one in option]
    if isinstance(option, Parameters):
        fields = type(option).model_fields
        return {fields[name].alias or name: _plain(getattr(option, name)) for name in option.model_fields_set}
    return option.get_secret_value() if isinstance(option, SecretStr) else option


#: What vectors ask of a configuration alone.
_CONFIGURED = ("assets", "parsed")


def configured(module: ModuleType, run: Callable[[Case], Outcome]) -> Callable[[Case], Outcome]:
    """Answers that itself, and leaves all else to `run`."""

    def answered(case: Case) -> Outcome:
        asked = case.expected.keys() if isinstance(case.expected, dict) else ()
        if case.input or not asked or not asked <= set(_CONFIGURED):
            return run(case)
        listed = case.assets(module) if "assets" in asked else {}
        return {**listed, "parsed": parsed(case.config_of(module))}

    return answered


def outcome(before: Draft, patch: Patch | None) -> Outcome:
    """Columns by name, and the rest of what a patch says. Raises Failed where it reports failures."""
    if patch is not None and patch.failures:
        raise Failed([one.message for one in patch.failures], tuple(patch.failures))
    after = applied(before, patch)
    return {
        **after,
        "fields": {name: after[name] for name in after if name.startswith(("geo_", "ip_"))},
        "event": after,
        "contexts": documents(patch.contexts) if patch else [],
        "derived_contexts": derived(before, patch),
        "dropped": bool(patch and patch.drop),
    }


def run(case: Case, module: ModuleType, before: Draft, answer: Answer | None = None) -> Outcome:
    state = case.state(module)
    if hasattr(module, "ask"):
        asked = module.ask(before, state)
        return outcome(before, module.enrich(before, state, answer if asked else None))
    return outcome(before, module.enrich(before, state))


def _anon_ip(case: Case) -> Outcome:
    address = case.input.get("user_ipaddress")
    state = case.state(anon_ip)
    if address == "":
        return {"user_ipaddress": state.of(address).fields["user_ipaddress"]}
    return run(case, anon_ip, case.draft())


def _campaign(case: Case) -> Outcome:
    if "querystring" not in case.input:
        before = case.draft()
        before.payload.referer_uri = case.input.get("refererUri")
        before.payload.encoding = case.input.get("encoding")
        attributes.page(before)
        return run(case, campaign_attribution, before)
    return run(case, campaign_attribution, draft(query=dict(case.input["querystring"])))


class Unhashed:
    """In place of a hash: what would be hashed."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def hexdigest(self) -> str:
        return self._data.decode()


def _fingerprint(case: Case) -> Outcome:
    state = case.state(event_fingerprint)
    if "hash_of" in case.input:
        return {"digest": state.hashed(case.input["hash_of"].encode()).hexdigest()}
    before = draft(parameters=case.input["parameters"])
    made = outcome(before, event_fingerprint.enrich(before, state))
    text = outcome(before, event_fingerprint.enrich(before, state._replace(hashed=Unhashed)))["event_fingerprint"] or ""
    return {**made, "preimage": text, "preimage_length": len(text), "length": len(made["event_fingerprint"])}


def _ip_lookups(case: Case) -> Outcome:
    case.config_of(ip_lookups)
    databases = folder("EVNT_TEST_MMDB", "../shared/data/mmdb").resolve()
    case.config = {
        name: {"uri": str(databases), "database": chosen["database"]} for name, chosen in case.config.items()
    }
    return run(case, ip_lookups, case.draft())


def _iab(case: Case) -> Outcome:
    if "files" not in case.config:
        return case.assets(iab)
    files = case.config["files"]
    names = {"ipFile": "ip", "excludeUseragentFile": "exclude", "includeUseragentFile": "include"}
    parameters = {name: value for name, value in case.config.items() if name != "files"}
    for option, key in names.items():
        (case.place / key).write_text(files[key], encoding="iso-8859-1")
        parameters[option] = {"database": key, "uri": "."}
    case.config = parameters
    before = case.draft()
    moment = case.input.get("derived_tstamp")
    before.values[INDEX["derived_tstamp"]] = moment.replace("T", " ").rstrip("Z") if moment else ""
    return run(case, iab, before)


def _ua_parser(case: Case) -> Outcome:
    rules = case.config.get("rules_yaml")
    case.config.pop("local_file_missing", None)
    if rules:
        case.write("rules.yml", rules)
        case.config = {"database": "rules.yml", "uri": "."}
    return run(case, ua_parser, case.draft())


def _referer(case: Case) -> Outcome:
    entries = case.config.pop("referers", None)
    if entries is not None:
        case.write("referers.json", json.dumps(entries))
        case.config = {**case.config, "database": "referers.json", "uri": "."}
    case.config_of(referer_parser)
    before = case.draft()
    failure = attributes.referrer(before)
    if failure is not None:
        raise Failed([failure.message], (failure,))
    return run(case, referer_parser, before)


def _yauaa(case: Case) -> Outcome:
    if "parameters" in case.input:
        text = case.input["parameters"].get("ua") or case.input.get("header_useragent")
        before = draft({"useragent": text})
        made = run(case, yauaa, before)
        return {**made, **made["contexts"][0]["data"]}
    return run(case, yauaa, case.draft())


def _currency(case: Case) -> Outcome:
    rates = case.config.pop("oer_stub_rates", None)
    before = case.draft()
    moment = case.input.get("collector_tstamp")
    before.values[INDEX["collector_tstamp"]] = moment.replace("T", " ").rstrip("Z") if moment else ""
    state = case.state(currency_conversion)
    query = currency_conversion.ask(before, state)
    answer = Answer({"base": "USD", "rates": rates}) if query and rates else Answer(error="not asked")
    made = outcome(before, currency_conversion.enrich(before, state, answer if query else None))
    return {**made, "request": query.question.url.partition("://")[2] if query else None}


def _weather(case: Case) -> Outcome:
    given = case.input
    if "coordinate" in given:
        return {"rounded": weather.rounded(given["coordinate"], case.config["geoPrecision"])}
    if "stamps" in given:
        return {"dt": weather.nearest(given["stamps"], given["event_epoch"])["dt"]}
    if "lat" in given:
        return _weather_request(case)
    status = given.get("http_status", 200)
    answer = Answer(given.get("response")) if _is_fine(status) else Answer(error=f"Request failed with status {status}")
    return run(case, weather, case.draft(), answer)


def _is_fine(status: int) -> bool:
    return 200 <= status < 300


def _weather_request(case: Case) -> Outcome:
    defaults = {"cacheSize": 1, "geoPrecision": 1, "timeout": 5}
    config = case.config_of(weather, {**defaults, **case.config})
    moment = datetime.fromisoformat(case.input["time"]).timestamp()
    question = weather.question(config, case.input["lat"], case.input["lon"], int(moment))
    scheme, _, rest = question.url.partition("://")
    path, _, query = rest.partition("?")
    return {
        "method": question.method,
        "scheme": scheme,
        "url_path": path.removeprefix(config.api_host),
        "query": dict(pair.split("=") for pair in query.split("&")),
    }


def _javascript(case: Case) -> Outcome:
    scripts = case.config.get("scripts") or [case.config["script_plain"]]
    params = {"config": case.config["config"]} if "config" in case.config else {}
    before = case.draft()
    if "headers" in case.input and "derived_contexts" in str(scripts).lower():
        case.config = {"headersPattern": ".*"}
        before.derived = entities(run(case, http_header_extractor, before)["contexts"])
    made: Outcome = {}
    for script in scripts:
        case.config = {"script": base64.urlsafe_b64encode(script.encode()).decode().rstrip("="), **params}
        state = case.state(javascript_script)
        patch = javascript_script.enrich(before, state)
        made = outcome(before, patch)
        before.derived = entities(made["derived_contexts"])
        if patch and patch.event:
            made["unstruct_event"] = documents([patch.event])[0]
        if patch and patch.entities is not None:
            made["contexts_field"] = documents(patch.entities)
    return made


def _pii(case: Case) -> Outcome:
    given = case.input
    if "hash_of" in given:
        state = case.state(pii)
        return {
            "digest": pii.hasher(state.function, "")(given["hash_of"]),
            "parsed": {"fields": len(state.columns) + len(state.insides), "emitEvent": state.emit_event},
        }
    if not case.config:
        return _identification(case)
    state = case.state(pii)
    before = case.draft()
    patch = pii.enrich(before, state)
    made = outcome(before, patch)
    event = patch.event if patch and patch.event else before.event
    contexts = patch.entities if patch and patch.entities is not None else before.contexts
    side = list(patch.side_events) if patch else []
    return {
        **made,
        "unstruct_event": documents([event])[0] if event else None,
        "contexts": documents(contexts),
        "pii_event": json.loads(side[0]["unstruct_event"]) if side else None,
    }


def _identification(case: Case) -> Outcome:
    given = case.input
    if not given["event"].get("pii"):
        return {"pii_enriched_event": None}
    parent = "b8c3a1f4-9a5e-4a1d-8a51-0b7c7f3b7c11"
    before = draft({**given["event"], "event_id": parent, "v_etl": given["processor"]})
    made = dict(pii.identification(before, [pii.Change("user_id", "a", "b")], "MD5"))
    now = before.values[INDEX["etl_tstamp"]]
    assert made["derived_tstamp"] == made["true_tstamp"] == now
    assert made["event_id"] not in ("", parent)
    contexts = json.loads(made["contexts"])
    assert contexts["data"][0]["data"] == {"parentEventId": parent}
    contexts["data"][0]["data"] = {"parentEventId": given["event"]["event_id"]}
    blanks = {"event_id": "<new uuid>", "derived_tstamp": "<now>", "true_tstamp": "<now>"}
    return {"pii_enriched_event": {**made, **blanks, "unstruct_event": "<pii SDJ>", "contexts": contexts}}


_API = {
    "inputs": [],
    "api": {"http": {"method": "GET", "uri": "http://h/"}},
    "outputs": [{"schema": "iglu:com.acme/r/jsonschema/1-0-0", "json": {"jsonPath": "$"}}],
    "cache": {"size": 1, "ttl": 1},
}


def _api(case: Case) -> Outcome:
    given = case.input
    if "response_raw" in given:
        value = compiled(case.config["jsonPath"]).find(json.loads(given["response_raw"]))[0]
        return {"valid": jsonschema.Draft4Validator(case.config["schema"]).is_valid(value)}
    if "authentication" in case.config:
        parameters = {**_API, "api": {"http": {**_API["api"]["http"], **case.config}}}  # type: ignore[index]
        return {"headers": dict(case.state(api_request, parameters).headers)}
    case.config = {**_API, **case.config}
    if "template_context" in given:
        return _api_request_of(case, given["template_context"])
    if {"template_context", "pulled"} & set(case.expected):
        values = api_request.template_values(case.draft(), case.state(api_request).inputs)
        return {"template_context": values, "pulled": values}
    return _api_whole(case)


def _api_request_of(case: Case, values: dict[str, str]) -> Outcome:
    http = case.state(api_request).http
    body = None if http.method == "GET" else json.loads(json.dumps(values))
    return {"url": api_request.address(http.uri, values), "body": body}


def _api_whole(case: Case) -> Outcome:
    state = case.state(api_request)
    before = case.draft()
    query = api_request.ask(before, state)
    answer = _api_answer(case.input, query, state) if query else None
    made = outcome(before, api_request.enrich(before, state, answer))
    request: Outcome = {}
    if query:
        user = base64.b64decode(dict(query.question.headers).get("authorization", "")[6:]).decode().partition(":")[0]
        request = {"method": query.question.method, "url": query.question.url, "user": user}
    return {**made, "request": request}


def _api_answer(given: Mapping[str, Any], query: Query, state: api_request.State) -> Answer:
    if "http_error" in given:
        return Answer(error=given["http_error"])
    if not _is_fine(given.get("http_status", 200)):
        return Answer(error=f"Request failed with status {given['http_status']}")
    if "response" in given:
        return Answer(given["response"])
    if "http_response" in given:
        try:
            return Answer(json.loads(given["http_response"]))
        except ValueError:
            return Answer(error="the answer is not JSON")
    return Answer(_stub(query.question))


def _stub(question: HttpQuestion) -> Any:
    """What the stub servers of the field's own tests answer."""
    path = "/" + question.url.split("/", 3)[3]
    authorization = dict(question.headers).get("authorization")
    if not authorization:
        return {"path": path, "message": "unauthorized", "method": question.method}
    user = base64.b64decode(authorization[6:]).decode()
    first = {"path": path, "method": question.method, "auth_header": user, "request": 1}
    return {"data": {"lookupArray": [first, {"path": path, "request": 1}]}}


def _jsonpath(case: Case) -> Outcome:
    try:
        return {"values": compiled(case.config["jsonPath"]).find(case.input["json"])}
    except InvalidPath as error:
        raise Failed([str(error)]) from error


def _memory(case: Case) -> Outcome:
    config = case.config
    if "steps" not in case.input:
        return {"successTtl": config["ttl"], "errorTtl": config["ttl"] // 10}
    memory = Memory(config["size"], config["successTtl"], config["errorTtl"])
    returned = []
    for step in case.input["steps"]:
        key = step.get("key", "key")
        answer = memory.fresh(key, step["at"])
        if answer is None:
            source = step["source"]
            fresh = Answer(error=source) if str(source).startswith("error") else Answer(source)
            answer = memory.keep(key, fresh, step["at"])
        returned.append(answer.value if answer.error is None else answer.error)
    return {"returns": returned}


_SQL: dict[str, Any] = {
    "inputs": [],
    "database": {
        "postgresql": {
            "host": "h",
            "port": 1,
            "sslMode": False,
            "username": "u",
            "password": "p",
            "database": "d",
        }
    },
    "query": {"sql": "SELECT 1"},
    "output": {
        "expectedRows": "AT_LEAST_ZERO",
        "json": {
            "schema": "iglu:com.acme/r/jsonschema/1-0-0",
            "describes": "EVERY_ROW",
            "propertyNames": "AS_IS",
        },
    },
    "cache": {"size": 1, "ttl": 1},
}


def _sql(case: Case) -> Outcome:
    given = case.input
    direct: dict[str, Callable[[], Outcome]] = {
        "column": lambda: {"property": rows.RENAMES[case.config["propertyNames"]](given["column"])},
        "json_value": lambda: {"extracted": _kind_and_value(sql_query.argument(given["json_value"]))},
        "column_value": lambda: {"json": rows.value(_cell(given["column_value"]))},
        "filled_placeholders": lambda: _gaps(case),
    }
    for key, make in direct.items():
        if key in given:
            return make()
    if "schemaCriterion" in case.config:
        matches = family(criterion(case.config["schemaCriterion"])).has
        return {"data": next((one["data"] for one in given["contexts"] if matches(one["schema"])), None)}
    if "query" in case.config and "contexts" in case.expected and "rows" not in given:
        table = case.config.get("database", {})
        case.config = {**_SQL, **case.config, "database": _SQL["database"]}
        return _sql_on(case, table)
    config = case.config_of(sql_query, {**_SQL, **case.config})
    if "rows" in given:
        return _rows(case, config)
    if "parsed" in case.expected:
        return {"parsed": parsed(config)}
    case.config = {**_SQL, **case.config}
    inputs = case.config["inputs"]
    filled = sql_query.placeholders(case.draft(), case.state(sql_query).inputs)
    if "pulled" in case.expected:
        (one,) = inputs
        return {"pulled": [one["placeholder"], _pulled(one, filled)]}
    complete = sql_query.is_complete(filled, len({one["placeholder"] for one in inputs}))
    shown = {str(one["placeholder"]): _pulled(one, filled) for one in inputs}
    return {"placeholders": shown if complete else None}


def _pulled(one: Mapping[str, Any], filled: Mapping[int, Any]) -> Any:
    """A column in 32 bits is a float upstream; here it is a double like all others."""
    shown = _kind_and_value(filled.get(one["placeholder"], MISSING))
    column = one.get("pojo", {}).get("field")
    is_float = shown and any(field.name == column and field.kind == "float" for field in FIELDS)
    return ["float", shown[1]] if is_float else shown


def _rows(case: Case, config: Any) -> Outcome:
    case.config = {**_SQL, **case.config}
    state = case.state(sql_query)
    before = case.draft()
    return outcome(before, sql_query.enrich(before, state, Answer(case.input["rows"])))


def _sql_on(case: Case, table: Mapping[str, Any]) -> Outcome:
    """The vector's own statement on its table, in memory; real servers have tests of their own."""
    state = case.state(sql_query)
    before = case.draft()
    query = sql_query.ask(before, state)
    if query is None:
        return outcome(before, sql_query.enrich(before, state, None))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        if "rows" in table:
            columns = ", ".join(table["columns"])
            connection.execute(f"CREATE TABLE {table['table']} ({columns})")
            marks = ", ".join("?" * len(table["columns"]))
            connection.executemany(f"INSERT INTO {table['table']} VALUES ({marks})", table["rows"])
        found = connection.execute(case.config["query"]["sql"], query.question.arguments)
        rows = [dict(row) for row in found.fetchall()]
    return outcome(before, sql_query.enrich(before, state, Answer(rows)))


def _gaps(case: Case) -> Outcome:
    filled = dict.fromkeys(case.input["filled_placeholders"], "x")
    if "query" in case.config:
        _, marks = sql_query.translated(case.config["query"]["sql"], "postgresql")
        return {"contexts": [] if not sql_query.is_complete(filled, marks) else None}
    return {"lookup_runs": sql_query.is_complete(filled, len(filled))}


def _kind_and_value(value: Any) -> Any:
    if value is MISSING:
        return None
    if isinstance(value, bool):
        return ["boolean", value]
    if isinstance(value, int):
        return ["int" if -(2**31) <= value < 2**31 else "long", value]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    return ["double", value] if isinstance(value, float) else ["string", value]


def _cell(value: Any) -> Any:
    """What a driver gives for a value of which a vector tells the database's type."""
    told = re.fullmatch(r"<(\w+) '?(.*?)'?>", value) if isinstance(value, str) else None
    makes = _DRIVERS.get(told[1].lower()) if told else None
    return makes(told[2]) if makes and told else value


_DRIVERS: dict[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    **dict.fromkeys(("json", "jsonb", "text", "varchar"), str.encode),
    **dict.fromkeys(("numeric", "decimal"), Decimal),
    "uuid": UUID,
}


def _cross_domain(case: Case) -> Outcome:
    before = draft(query=dict(case.input["querystring"]))
    case.config = {"attach": False}
    return run(case, cross_navigation, before)


def _cross_navigation(case: Case) -> Outcome:
    before = draft(query={"_sp": case.input["_sp"]})
    case.config = {"attach": case.config["enabled"]}
    return run(case, cross_navigation, before)


def _asn(case: Case) -> Outcome:
    csv = case.config.pop("botAsnsFile_csv", None)
    if csv is not None:
        case.write("asns.csv", csv)
        case.config = {**case.config, "botAsnsFile": {"database": "asns.csv", "uri": "."}}
    if "assets" in case.expected:
        config = case.config_of(asn_lookups)
        numbers = [one.asn for one in config.bot_asns]
        return {**case.assets(asn_lookups), "botAsns": numbers, "bypassPlatforms": list(config.bypass_platforms)}
    if not case.input:
        return {"botAsns": sorted(case.state(asn_lookups).bots)}
    return run(case, asn_lookups, case.draft())


def _bot_detection(case: Case) -> Outcome:
    if "schema" in case.config:
        return _registry(case)
    made = run(case, bot_detection, case.draft())
    assert len(made["contexts"]) == 1
    return {"context": made["contexts"][0]}


def _event_spec(case: Case) -> Outcome:
    case.write("specs.json", json.dumps({"eventSpecs": case.config["eventSpecs"]}))
    case.config = {"database": "specs.json", "uri": "."}
    return run(case, event_spec, case.draft())


def _registry(case: Case) -> Outcome:
    """One file with what the vector says, and sound where it says nothing."""
    uri = case.config.get("schema", "iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-0")
    vendor, name = [*uri.removeprefix("iglu:").split("/"), ""][:2]
    data = {"vendor": vendor, "name": name, "enabled": case.config.get("enabled", True)}
    parameters = case.config.get("parameters", {})
    data["parameters"] = parameters if isinstance(parameters, dict) else {"anonOctets": 1}
    case.write("one.yml", yaml.safe_dump({"schema": uri, "data": data}))
    found, unreadable = configurations(case.place)
    chosen, wrong = choose(found)
    if unreadable or wrong:
        raise Failed(unreadable + wrong, stage="config")
    named = [one for one in chosen if one.source]
    return {"enrichment": named[0].step.name if named else None}


def _pipeline(case: Case) -> Outcome:
    if "v_collector" in case.input:
        failure = attributes.collector_version(draft(case.input))
        assert failure is not None
        raise Failed([failure.message], (failure,))
    enabled = case.config["enabled"]
    names = [name for step in ORDER for name in (step.name, *(one.name for one in step.criteria)) if name in enabled]
    return {"derived_contexts_order": [*dict.fromkeys(names)][::-1]}


def _simple(module: ModuleType) -> Callable[[Case], Outcome]:
    return lambda case: run(case, module, case.draft())


#: First word of a vector's `enrichment` → how to run it.
RUNNERS: dict[str, Callable[[Case], Outcome]] = {
    "anon_ip": _anon_ip,
    "api_request": _api,
    "asn_lookups": _asn,
    "bot_detection": _bot_detection,
    "caching_evaluator": _memory,
    "campaign_attribution": _campaign,
    "cookie_extractor": _simple(cookie_extractor),
    "cross_domain": _cross_domain,
    "cross_navigation": _cross_navigation,
    "currency_conversion": _currency,
    "event_fingerprint": _fingerprint,
    "event_spec": _event_spec,
    "http_header_extractor": _simple(http_header_extractor),
    "iab_spiders_and_robots": _iab,
    "ip_lookups": _ip_lookups,
    "javascript_script": _javascript,
    "jsonpath": _jsonpath,
    "pii": _pii,
    "pipeline": _pipeline,
    "referer_parser": _referer,
    "registry": _registry,
    "sql_query": _sql,
    "ua_parser": _ua_parser,
    "user_agent_utils": _simple(user_agent_utils),
    "weather": _weather,
    "yauaa": _yauaa,
}
RUNNERS |= {
    name: configured(module, RUNNERS[name])
    for name, module in {
        "anon_ip": anon_ip,
        "api_request": api_request,
        "bot_detection": bot_detection,
        "campaign_attribution": campaign_attribution,
        "cookie_extractor": cookie_extractor,
        "currency_conversion": currency_conversion,
        "event_fingerprint": event_fingerprint,
        "http_header_extractor": http_header_extractor,
        "iab_spiders_and_robots": iab,
        "ip_lookups": ip_lookups,
        "pii": pii,
        "referer_parser": referer_parser,
        "ua_parser": ua_parser,
        "user_agent_utils": user_agent_utils,
        "weather": weather,
        "yauaa": yauaa,
    }.items()
}
