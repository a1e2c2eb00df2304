"""Asks an HTTP service about an event and attaches what it answers."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote_plus

from pydantic import Field, SecretStr

from enricher import jsontext
from enricher.enrichments.contract import Answer, Draft, EnrichmentRefused, Entity, Patch, Query, Resources
from enricher.enrichments.parts.inputs import MISSING, Input, Pick, pick, picks, wrapped
from enricher.enrichments.parts.jsonpath import InvalidPath, compiled
from enricher.enrichments.parts.lookup import Lookup, failed
from enricher.enrichments.parts.parameters import IgluUri, Parameters
from enricher.enrichments.parts.questions import HttpQuestion, Limits, Remembering
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion(
    "com.snowplowanalytics.snowplow.enrichments", "api_request_enrichment_config", "jsonschema", 1, 0
)
ALIASES = (SCHEMA._replace(name="extra_api_request_enrichment_config"),)
IDENTIFIER = "api-request"

_PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_-]+)\s*\}\}")
_UNRESERVED = "*-._"
_HEADERS = (("content-type", "application/json"), ("accept", "*/*"))


class KeyedInput(Input):
    key: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """Name of the value in the address template and in the body."""


class Basic(Parameters):
    username: str | None = None
    """User of HTTP Basic authentication."""
    password: SecretStr | None = None
    """Password of that user."""


class Authentication(Parameters):
    http_basic: Basic | None = Field(None, alias="httpBasic")
    """HTTP Basic; without it, none."""


class Http(Parameters):
    method: Literal["GET", "POST", "PUT"]
    """POST and PUT send all inputs as one JSON object."""
    uri: str
    """Address with `{{key}}` where an input goes."""
    timeout: int = Field(5_000, ge=1, le=60_000)
    """Milliseconds that an answer may take."""
    authentication: Authentication | None = None
    """How to log in."""
    requests_per_second: float = Field(0, alias="requestsPerSecond", ge=0)
    """Most requests a second, 0 for no limit. evnt's own option."""
    requests_at_once: int = Field(16, alias="requestsAtOnce", ge=1)
    """Most requests at the same time. evnt's own option."""


class Api(Parameters):
    http: Http
    """The service."""


class JsonOutput(Parameters):
    json_path: str = Field(alias="jsonPath")
    """What to take from the answer."""


class Output(Parameters):
    schema_: IgluUri = Field(alias="schema")
    """Iglu URI of the entity that is attached."""
    json_: JsonOutput = Field(alias="json")
    """Where its data is in the answer."""


class Config(Lookup):
    inputs: tuple[KeyedInput, ...]
    """What is sent. Where one has no value, nothing is asked."""
    api: Api
    """Whom to ask."""
    outputs: tuple[Output, ...] = Field(min_length=1)
    """What is attached."""


class State(NamedTuple):
    inputs: tuple[tuple[str, Pick], ...]
    http: Http
    headers: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str, Callable[[Any], list[Any]]], ...]
    remember: Remembering
    ignore: bool


def prepare(config: Config, _: Resources) -> State:
    http = config.api.http
    cache = config.cache
    return State(
        picks(config.inputs, lambda one: (one.key, pick(one.key, one))),
        http,
        _HEADERS + authorization(http.authentication.http_basic if http.authentication else None),
        tuple((output.schema_, output.json_.json_path, _finder(output.json_.json_path)) for output in config.outputs),
        Remembering(f"{http.method} {http.uri}", cache.size, cache.ttl),
        config.ignore_on_error,
    )


def _finder(path: str) -> Callable[[Any], list[Any]]:
    try:
        return compiled(path).find
    except InvalidPath as error:
        raise EnrichmentRefused(f"outputs: {path}: {error}") from error


def authorization(basic: Basic | None) -> tuple[tuple[str, str], ...]:
    password = basic.password.get_secret_value() if basic and basic.password else ""
    if basic is None or not (basic.username or password):
        return ()
    credentials = f"{basic.username or ''}:{password}".encode()
    return (("authorization", f"Basic {b64encode(credentials).decode('ascii')}"),)


def ask(draft: Draft, state: State) -> Query | None:
    values = template_values(draft, state.inputs)
    url = None if values is None else address(state.http.uri, values)
    if values is None or url is None:
        return None
    body = None if state.http.method == "GET" else jsontext.render(values)
    limits = Limits(state.http.requests_per_second, state.http.requests_at_once)
    question = HttpQuestion(
        (url, body, state.headers),
        url,
        state.remember,
        state.http.method,
        body,
        state.headers,
        state.http.timeout,
        limits,
    )
    return Query("http", question)


def template_values(draft: Draft, inputs: tuple[tuple[str, Pick], ...]) -> dict[str, str] | None:
    """The later of one key wins, but any that is missing makes the whole lookup a silent skip, as upstream."""
    values: dict[str, str] = {}
    for key, picked in inputs:
        value = picked(draft)
        if value is MISSING:
            return None
        values[key] = text_of(value)
    return values


def text_of(value: Any) -> str:
    """As it stands in an address: an array is its items with commas, a path without hits is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(text_of(item) for item in value)
    return jsontext.render(value)


def address(template: str, values: Mapping[str, str]) -> str | None:
    """None where a place stays unfilled."""
    url = _PLACE.sub(
        lambda place: _encoded(values[place[1]]) if place[1] in values else place[0],
        template,
    )
    return None if "{" in url or "}" in url else url


def _encoded(value: str) -> str:
    """As forms are; half a character is a `?`, as it is in the body."""
    return quote_plus(value, safe=_UNRESERVED, errors="replace").replace("~", "%7E")


def enrich(draft: Draft, state: State, answer: Answer | None) -> Patch | None:
    if answer is None:
        return None
    if answer.error is not None:
        return failed([answer.error], ignore=state.ignore)
    attached: list[Entity] = []
    problems: list[str] = []
    for schema, path, find in state.outputs:
        value = wrapped(find(answer.value))
        if value == []:
            problems.append(f"Error: no values were found by JSON Path [{path}] in [{jsontext.render(answer.value)}]")
        attached.append(Entity(schema, value))
    return failed(problems, ignore=state.ignore) if problems else Patch(contexts=attached)
