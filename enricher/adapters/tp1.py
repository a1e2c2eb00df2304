"""Tracker protocol by GET (`/i`, `/ice.png`, `tp1`): every query parameter is a tracker parameter."""

from enricher.adapters.contract import Adapted, Limits, refuse
from enricher.request import Request


def adapt(request: Request, limits: Limits) -> Adapted:
    """Body and content type are ignored; the last duplicate wins. The message's wording is upstream's."""
    if not request.query:
        return refuse("querystring", None, "empty querystring: not a valid URI redirect")
    return [dict(request.query)]
