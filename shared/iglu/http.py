"""A registry over HTTP: a static one (Iglu Central and its mirrors) or an Iglu Server with an API key."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiohttp
from yarl import URL

from shared.iglu.registry import NOT_FOUND, Document, Failure, Rank, version_order
from shared.schema import InvalidIgluUri, SchemaKey

#: One request may take this long, connecting included.
TIMEOUT_S: Final = 5.0

#: Further attempts after one that an outage ended, and the pause before each.
_PAUSES_S: Final = (0.1, 0.5)

_OUTAGES: Final = frozenset({408, 429})


class HttpRegistry:
    """Implements registry.Registry. The connection pool is opened with the first request, inside the running loop.

    With an API key no redirect is followed: the key is for this registry only.
    """

    rank = Rank.HTTP

    def __init__(
        self,
        name: str,
        uri: str,
        priority: int = 0,
        vendor_prefixes: Sequence[str] = (),
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self.priority = priority
        self.vendor_prefixes = tuple(vendor_prefixes)
        self._root = uri.rstrip("/")
        self._headers = {} if api_key is None else {"apikey": api_key}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, key: SchemaKey) -> Document | Failure:
        answer = await self._get(f"/schemas/{key.path}")
        if isinstance(answer, (dict, Failure)):
            return answer
        return Failure("ClientFailure", "Could not decode server response. It is not a JSON object")

    async def versions(self, vendor: str, name: str, model: int) -> list[SchemaKey]:
        answer = await self._get(f"/schemas/{vendor}/{name}/jsonschema/{model}")
        uris = answer if isinstance(answer, list) else []
        keys = [key for uri in uris if (key := _parse(uri)) and key[:2] == (vendor, name) and key.model == model]
        return sorted(keys, key=version_order)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get(self, path: str) -> Any | Failure:
        for pause in (*_PAUSES_S, None):
            answer = await self._get_once(path)
            if pause is None or not (isinstance(answer, Failure) and answer.outage):
                break
            await self._sleep(pause)
        return answer

    async def _get_once(self, path: str) -> Any | Failure:
        try:
            async with self._open().get(
                URL(self._root + path, encoded=True), headers=self._headers, allow_redirects=not self._headers
            ) as response:
                return _answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, IndexError) as error:
            # the last two: redirects to what is no address, `http://a..b/` and `http://[]@/`
            return Failure("ClientFailure", str(error) or type(error).__name__, outage=True)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self._session


def _answer(status: int, body: bytes) -> Any | Failure:
    if status == 404:
        return NOT_FOUND
    if status >= 500:
        return Failure("RepoFailure", f"Unexpected server response: {body.decode('utf-8', 'replace')}", outage=True)
    if not 200 <= status < 300:
        return Failure("ClientFailure", f"Unexpected response code: {status}", outage=status in _OUTAGES)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        return Failure("ClientFailure", f"Could not decode server response. {error}")


def _parse(uri: object) -> SchemaKey | None:
    try:
        return SchemaKey.parse(uri) if isinstance(uri, str) else None
    except InvalidIgluUri:
        return None
