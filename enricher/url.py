"""Page and referrer URLs as Snowplow reads them: java.net.URI first, a forgiving parser on what that refuses."""

import re
from typing import Final

from enricher.forgiving import relax
from enricher.java_uri import Uri, java_uri
from enricher.remembered import remembered
from enricher.values import Refused, tsv_safe

#: The six columns of a URL: scheme, host, port, path, query, fragment.
Parts = tuple[str, str, str, str, str, str]

_SPLIT: Final = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.\-]*:)?(?://[^/?#]*)?)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_SAFE: Final = re.compile(r"[A-Za-z0-9\-._~+]*")


@remembered(8192)
def explode(text: str) -> tuple[Uri, Parts] | Refused:
    """The URI and its columns; pages and referrers come again and again."""
    uri = parse(text)
    return uri if isinstance(uri, Refused) else (uri, parts(uri))


def parse(text: str) -> Uri | Refused:
    """The URI whose text becomes page_url: spaces escaped, or re-encoded by the forgiving parser."""
    java = java_uri(text.replace(" ", "%20"))
    if isinstance(java, Uri):
        return java
    encoded = relax(text)
    relaxed = Refused("Invalid URL could not be parsed.") if encoded is None else java_uri(encoded)
    if isinstance(relaxed, Uri):
        return relaxed
    return Refused(
        f"Provided URI [{text}] could not be parsed, neither by Java parsing (error: [{java.message}]) "
        f"nor by Scala parsing (error: [{relaxed.message}])."
    )


def parts(uri: Uri) -> Parts:
    """The port is always there: 443 for exactly `https`, 80 for everything else that names none."""
    port = uri.port if uri.port is not None else 443 if uri.scheme == "https" else 80
    path, query, fragment = tsv_safe(uri.path), tsv_safe(uri.query or ""), tsv_safe(uri.fragment or "")
    return uri.scheme, uri.host, str(port), path, query, fragment
