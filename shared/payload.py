"""CollectorPayload: what the collector saw, and its bytes on the `raw` stream.

Thrift's TBinaryProtocol, packed and read by hand on bytes and bounds-checked; a message of the raw stream holds
one or more structs back to back (a struct is self-delimiting).
"""

from dataclasses import dataclass


@dataclass(slots=True)
class CollectorPayload:
    """One request as the collector recorded it. None: the field is unset. Texts are UTF-8 with replacement.

    timestamp: Unix milliseconds. headers: `Name: value` lines in order of arrival.
    """

    schema: str | None = None
    ip_address: str | None = None
    timestamp: int = 0
    encoding: str | None = None
    collector: str | None = None
    user_agent: str | None = None
    referer_uri: str | None = None
    path: str | None = None
    querystring: str | None = None
    body: str | None = None
    headers: list[str] | None = None
    content_type: str | None = None
    hostname: str | None = None
    network_userid: str | None = None
