"""A request's events, or why there are none."""

from enricher.adapters import ADAPTERS
from enricher.adapters.contract import Envelope, InputData, Limits, Message, Parameters, Refusal
from enricher.entities import Schemas, judge
from enricher.iglu.contract import Resolution
from enricher.request import Request
from enricher.selfdescribing import SelfDescribing
from enricher.violations import CriterionMismatch, Violation


def events_of(request: Request, limits: Limits, schemas: Schemas) -> list[Parameters] | tuple[Message | Violation, ...]:
    """The events of a request, or why there are none. Raises UnknownSchema."""
    adapter = ADAPTERS.get((request.vendor, request.version))
    if adapter is None:
        pair = f"{request.vendor}/{request.version}"
        return (InputData("vendor/version", pair, "vendor/version combination is not supported"),)
    adapted = adapter(request, limits)
    if isinstance(adapted, Refusal):
        return adapted.messages
    if not isinstance(adapted, Envelope):
        return adapted
    violation = _envelope_violation(adapted, schemas[adapted.schema])
    return adapted.events() if violation is None else (violation,)


def _envelope_violation(envelope: Envelope, resolution: Resolution) -> Violation | None:
    """Validity comes before the question whether this is the right kind of envelope."""
    invalid = judge("body", SelfDescribing(envelope.schema, envelope.data), resolution, None)
    if invalid is not None or envelope.wanted.has(envelope.schema):
        return invalid
    return CriterionMismatch("body", envelope.schema, envelope.wanted.text, envelope.data)
