"""The tp2 body that a bridged call becomes."""

import json
from base64 import b64encode
from collections.abc import Mapping

PAYLOAD_DATA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
UNSTRUCT_EVENT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"


def tp2_body(schema: str, data: str, parameters: Mapping[str, str | None]) -> bytes:
    """One self-describing event around `data`, JSON that is kept as it is; absent parameters are left out."""
    event = f'{{"schema":"{UNSTRUCT_EVENT}","data":{{"schema":"{schema}","data":{data}}}}}'
    given = {name: value for name, value in parameters.items() if value is not None}
    given["ue_px"] = b64encode(event.encode("utf-8", "replace")).decode()
    return json.dumps({"schema": PAYLOAD_DATA, "data": [given]}, separators=(",", ":")).encode()


def text_at(document: object, *path: str) -> str | None:
    """The text at a path of member names; None where there is something else or nothing."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, str) else None
