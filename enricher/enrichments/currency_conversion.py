"""Converts amounts of transactions into one currency with Open Exchange Rates."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator

from enricher.enrichments.contract import Answer, Draft, Failure, Patch, Query, Resources
from enricher.enrichments.parts.currencies import MINOR_UNITS
from enricher.enrichments.parts.parameters import Parameters
from enricher.enrichments.parts.questions import ERROR_SECONDS, HttpQuestion, Remembering
from shared.event import INDEX
from shared.schema import SchemaCriterion

SCHEMA = SchemaCriterion("com.snowplowanalytics.snowplow", "currency_conversion_config", "jsonschema", 1, 0)
IDENTIFIER = "currency-conversion"

#: Amount, its currency, and where the converted amount goes.
_AMOUNTS = (
    ("tr_total", "tr_currency", "tr_total_base"),
    ("tr_tax", "tr_currency", "tr_tax_base"),
    ("tr_shipping", "tr_currency", "tr_shipping_base"),
    ("ti_price", "ti_currency", "ti_price_base"),
)
_MOMENT = INDEX["collector_tstamp"]
_DAYS_REMEMBERED = 4_000
_RATE_DIGITS = Decimal("0.000001")
#: Room for all digits of the largest double beside those of a rate: only what is meant to be rounded is rounded.
_EXACT = Context(prec=1_200, rounding=ROUND_HALF_EVEN)


class Config(Parameters):
    api_key: SecretStr = Field(alias="apiKey")
    """App id of Open Exchange Rates."""
    base_currency: str = Field(alias="baseCurrency")
    """Currency to convert to, ISO 4217."""
    account_type: Literal["DEVELOPER", "ENTERPRISE", "UNLIMITED"] = Field(alias="accountType")
    """Kind of account; only paid ones may ask for rates of another base than USD."""
    rate_at: Literal["EOD_PRIOR"] = Field(alias="rateAt")
    """Accepted and ignored: the rates of the event's UTC day are used."""

    @field_validator("base_currency")
    @classmethod
    def _known(cls, code: str) -> str:
        if code not in MINOR_UNITS:
            raise ValueError(f"Unknown currency '{code}'")
        return code


class State(NamedTuple):
    base: str
    parameters: tuple[tuple[str, str], ...]


class Amount(NamedTuple):
    value: Decimal
    currency: str
    currency_column: str
    target: str


def prepare(config: Config, _: Resources) -> State:
    paid = () if config.account_type == "DEVELOPER" else (("base", config.base_currency),)
    return State(config.base_currency, (("app_id", config.api_key.get_secret_value()), *paid))


def amounts(draft: Draft) -> list[Amount]:
    """What has both an amount and a currency. An amount is a binary double, as upstream takes it."""
    values = draft.values
    return [
        Amount(Decimal(float(values[INDEX[amount]])), values[INDEX[currency]], currency, target)
        for amount, currency, target in _AMOUNTS
        if values[INDEX[amount]] and values[INDEX[currency]]
    ]


def ask(draft: Draft, state: State) -> Query | None:
    day = draft.values[_MOMENT][:10]
    if not day or not any(one.currency in MINOR_UNITS and one.currency != state.base for one in amounts(draft)):
        return None
    url = f"https://openexchangerates.org/api/historical/{day}.json?{urlencode(state.parameters)}"
    return Query("http", HttpQuestion(url, url, Remembering(IDENTIFIER, _DAYS_REMEMBERED, 86_400, ERROR_SECONDS)))


def enrich(draft: Draft, state: State, answer: Answer | None) -> Patch | None:
    if not draft.values[_MOMENT]:
        return Patch(failures=(Failure("missing", "collector_tstamp", None),))
    fields = {"base_currency": state.base}
    failures: list[Failure] = []
    for one in amounts(draft):
        outcome = converted(one, state.base, answer)
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            fields[one.target] = outcome
    return Patch(fields, failures=_once_a_service(failures))


def _once_a_service(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """What the service said is said once; an unknown currency once an amount."""
    found = list(failures)
    return tuple(one for place, one in enumerate(found) if one.field or one not in found[:place])


def converted(amount: Amount, base: str, answer: Answer | None) -> str | Failure:
    if amount.currency not in MINOR_UNITS:
        return Failure(f"Unknown currency '{amount.currency}'", amount.currency_column, amount.currency)
    if not amount.value.is_finite():
        return Failure(f"{amount.target}: the amount is larger than a double can be")
    if amount.currency == base:
        return _rounded(amount.value, base)
    rates = answer.value.get("rates") if answer and not answer.error and isinstance(answer.value, dict) else None
    if not isinstance(rates, dict):
        return _service_failure("OtherErrors", _said(answer))
    rate = cross_rate(rates, amount.currency, base)
    if rate is None:
        return _service_failure("IllegalCurrency", f"Currency not found in the API, invalid currency {amount.currency}")
    return _rounded(_EXACT.multiply(amount.value, rate), base)


def cross_rate(rates: Mapping[str, Any], currency: str, base: str) -> Decimal | None:
    """How many units of `base` one unit of `currency` is worth, through the feed's own base."""
    divisor, factor = rates.get(currency), rates.get(base)
    if not (_is_rate(divisor) and _is_rate(factor)):
        return None
    inverse = _EXACT.quantize(_EXACT.divide(Decimal(1), Decimal(str(divisor))), _RATE_DIGITS)
    return _EXACT.multiply(inverse, Decimal(str(factor)))


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < float("inf")


def _rounded(amount: Decimal, currency: str) -> str:
    rounded = _EXACT.quantize(amount, Decimal(1).scaleb(-MINOR_UNITS[currency]))
    return str(rounded or abs(rounded))


def _said(answer: Answer | None) -> str:
    """The service's own word where it has one."""
    value = answer.value if answer else None
    said = value.get("message") if isinstance(value, dict) else None
    return str(said or (answer.error if answer and answer.error else "no rates in the answer"))


def _service_failure(kind: str, message: str) -> Failure:
    return Failure(f"Open Exchange Rates error, type: [{kind}], message: [{message}]")
