"""Snowplow's Analytics SDK, which reads what we write. Its own source makes newer Pythons complain."""

import warnings
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from snowplow_analytics_sdk import event_transformer


def transform(line: bytes) -> dict[str, Any]:
    """The event as the SDK's JSON. Raises what the SDK raises for a line that is no event."""
    event: dict[str, Any] = event_transformer.transform(line.decode())
    return event
