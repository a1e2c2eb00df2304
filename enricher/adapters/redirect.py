"""Click redirects (`/r/tp2?u=…`): the target is the event, or an entity of the event that the query describes."""

import base64
from typing import Any, Final

from enricher import jsontext
from enricher.adapters.contract import CONTEXTS, UNSTRUCT_EVENT, Adapted, Limits, NotJson, Refusal, refuse
from enricher.base64url import decode
from enricher.request import Request

_SCHEMA: Final = "iglu:com.snowplowanalytics.snowplow/uri_redirect/jsonschema/1-0-0"


def adapt(request: Request, limits: Limits) -> Adapted:
    """`tv` is always `r-tp2`, `p` is web unless given, all other parameters stay."""
    if not request.query:
        return refuse("querystring", None, "empty querystring: not a valid URI redirect")
    parameters = dict(request.query)
    target = parameters.get("u")
    if target is None:
        shown = "&".join(f"{name}={'null' if value is None else value}" for name, value in parameters.items())
        return refuse("querystring", shown, "missing `u` parameter: not a valid URI redirect")
    del parameters["u"]
    entity = {"schema": _SCHEMA, "data": {"uri": target}}
    parameters |= {"tv": "r-tp2", "p": parameters.get("p", "web")}
    if parameters.get("e") is None:
        return [{**parameters, "e": "ue", "ue_pr": _wrap(UNSTRUCT_EVENT, entity)}]
    attached = _attach(entity, parameters.get("cx"), parameters.get("co"), limits)
    return attached if isinstance(attached, Refusal) else [{**parameters, **attached}]


def _attach(entity: Any, encoded: str | None, plain: str | None, limits: Limits) -> dict[str, str | None] | Refusal:
    """The entity in front of those that came: in `cx` if it is there, else in `co`; an empty `co` counts as absent."""
    if encoded is not None:
        contexts = _prepend(entity, decode(encoded), limits)
        if isinstance(contexts, Refusal):
            return contexts
        return {"cx": base64.urlsafe_b64encode(contexts.encode("utf-8", "replace")).decode()}
    if plain:
        contexts = _prepend(entity, plain, limits)
        return contexts if isinstance(contexts, Refusal) else {"co": contexts}
    return {"co": _wrap(CONTEXTS, [entity])}


def _prepend(entity: Any, text: str, limits: Limits) -> str | Refusal:
    """The wrapper's schema stays. What is no array of contexts is left for validation to refuse."""
    document = jsontext.parse(text, limits.json_depth)
    if isinstance(document, jsontext.Malformed):
        return Refusal((NotJson("co|cx", text, document.message),))
    wrapper = document.exact
    if not (isinstance(wrapper, dict) and isinstance(wrapper.get("data"), list)):
        return text
    return jsontext.render({**wrapper, "data": [entity, *wrapper["data"]]}, literals=True)


def _wrap(schema: str, data: Any) -> str:
    return jsontext.render({"schema": schema, "data": data})
