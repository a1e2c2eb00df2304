"""Attaches the weather at the user's place when the event happened, from OpenWeatherMap's history (a paid service).

Upstream asks before the place is known, so it never has an answer; here it runs after ip_lookups. An event
without a place is left alone.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pydantic import Field, SecretStr

from enricher.enrichments.contract import Answer, Draft, Entity, Failure, Patch, Query, Resources
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.questions import ERROR_SECONDS, HttpQuestion, Remembering
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow.enrichments", "weather_enrichment_config", "jsonschema", 1, 0)

_OUTPUT = "iglu:org.openweathermap/weather/jsonschema/1-0-0"
_LATITUDE, _LONGITUDE, _MOMENT = (INDEX[name] for name in ("geo_latitude", "geo_longitude", "derived_tstamp"))
_DAY = 86_400
_TENTH = Decimal("0.1")
#: What the entity's schema knows of each part; it refuses what the service added since, such as `feels_like`.
_KNOWN = {
    "main": ("temp", "temp_min", "temp_max", "pressure", "sea_level", "grnd_level", "humidity"),
    "wind": ("speed", "deg", "gust", "var_beg", "var_end"),
    "clouds": ("all",),
    "rain": ("1h", "3h"),
    "snow": ("1h", "3h"),
    "weather": ("id", "main", "description", "icon"),
}


class Config(Parameters):
    api_key: SecretStr = Field(alias="apiKey")
    """Key of OpenWeatherMap."""
    cache_size: int = Field(alias="cacheSize", ge=1, le=1_000_000)
    """Days and places whose weather is remembered."""
    geo_precision: int = Field(alias="geoPrecision", ge=1, le=10)
    """Places closer than one over this, in degrees, share their weather."""
    api_host: str = Field(alias="apiHost")
    """Host of the service: history.openweathermap.org."""
    timeout: int = Field(ge=1)
    """Seconds that an answer may take."""


class State(NamedTuple):
    config: Config


def prepare(config: Config, _: Resources) -> State:
    return State(config)


def ask(draft: Draft, state: State) -> Query | None:
    latitude, longitude, moment = (draft.values[place] for place in (_LATITUDE, _LONGITUDE, _MOMENT))
    if not (latitude and longitude and moment):
        return None
    return Query("http", question(state.config, float(latitude), float(longitude), epoch(moment)))


def question(config: Config, latitude: float, longitude: float, moment: int) -> HttpQuestion:
    """The whole UTC day at the exact place; the answer is shared by places that round to the same."""
    start = moment - moment % _DAY
    parameters = {
        "lat": latitude,
        "lon": longitude,
        "start": start,
        "end": start + _DAY,
        "cnt": 24,
        "appid": config.api_key.get_secret_value(),
    }
    url = f"https://{config.api_host}/data/2.5/history/city?{urlencode(parameters)}"
    key = (start, rounded(latitude, config.geo_precision), rounded(longitude, config.geo_precision))
    remember = Remembering(f"weather {config.api_host}", config.cache_size, _DAY, ERROR_SECONDS)
    return HttpQuestion(key, url, remember, timeout_ms=config.timeout * 1000)


def rounded(coordinate: float, precision: int) -> float:
    """To the nearest part of a degree, then to tenths, as the service's own client does: of two the upper one."""
    nearest = math.floor(coordinate * precision + 0.5) / precision
    return float(Decimal(str(nearest)).quantize(_TENTH, ROUND_HALF_UP))


def epoch(moment: str) -> int:
    """Unix seconds of a column's text."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())


def enrich(draft: Draft, _: State, answer: Answer | None) -> Patch | None:
    if not draft.values[_MOMENT]:
        return Patch(failures=(Failure("missing", "derived_tstamp", None),))
    if answer is None:
        return None
    if answer.error:
        return Patch(failures=(Failure(_explained(answer.error)),))
    stamps = answer.value.get("list") if isinstance(answer.value, dict) else None
    if not stamps:
        return Patch(failures=(Failure("Server response has no weather stamps"),))
    try:
        found = data(nearest(stamps, epoch(draft.values[_MOMENT])))
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, OSError) as error:
        return Patch(failures=(Failure(f"Server response has a stamp that can't be read: {error!r}"),))
    return Patch(contexts=(Entity(_OUTPUT, found),))


def _explained(error: str) -> str:
    refused = error.endswith((" 401", " 403"))
    return f"Check your API key: {error}" if refused else error


def nearest(stamps: Sequence[Mapping[str, Any]], moment: int) -> Mapping[str, Any]:
    """The first of the stamps that are closest in time."""
    return min(stamps, key=lambda stamp: abs(int(stamp["dt"]) - moment))


def data(stamp: Mapping[str, Any]) -> dict[str, Any]:
    moment = datetime.fromtimestamp(stamp["dt"], UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    parts = {name: _known(stamp[name], names) for name, names in _KNOWN.items() if stamp.get(name) is not None}
    return {"dt": moment, **parts}


def _known(part: Any, names: Sequence[str]) -> Any:
    if isinstance(part, list):
        return [_known(one, names) for one in part]
    return {name: part[name] for name in names if part.get(name) is not None}
