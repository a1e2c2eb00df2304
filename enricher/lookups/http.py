"""Asks HTTP services."""

import asyncio
import json
import re
from types import TracebackType
from typing import Any, NoReturn

import aiohttp

from enricher.enrichments.contract import Answer
from enricher.enrichments.parts.questions import HttpQuestion, Limits

#: Bytes of an answer that are read.
LARGEST = 4 * 1024 * 1024


class Pace:
    """Holds callers back to so many a second and so many at once."""

    def __init__(self, limits: Limits) -> None:
        self._slots = asyncio.Semaphore(limits.at_once)
        self._gap = 1 / limits.per_second if limits.per_second else 0.0
        self._next = 0.0

    async def __aenter__(self) -> None:
        await self._slots.acquire()
        try:
            await self._turn()
        except BaseException:
            self._slots.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._slots.release()

    async def _turn(self) -> None:
        if self._gap:
            now = asyncio.get_running_loop().time()
            turn = max(now, self._next)
            self._next = turn + self._gap
            await asyncio.sleep(turn - now)


class HttpService:
    """One session for all. Every outcome is an Answer: a refusal, a time-out and a broken body are no exceptions."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._paces: dict[tuple[str, Limits], Pace] = {}

    async def ask(self, question: HttpQuestion) -> Answer:
        """The time-out counts from here, so waiting for a turn is part of it."""
        pace = self._paces.setdefault((question.remember.name, question.limits), Pace(question.limits))
        try:
            async with asyncio.timeout(question.timeout_ms / 1000), pace:
                return await self._exchange(question)
        except aiohttp.InvalidURL as error:
            return Answer(error=f"uri [{_shown(question.url)}] is not valid: {_told(error, question.url)}")
        except TimeoutError:
            return Answer(error=f"no answer from {_shown(question.url)} within {question.timeout_ms} ms")
        except (aiohttp.ClientError, OSError, ValueError, IndexError) as error:  # the last: yarl's, of `http://[]@/`
            return Answer(error=f"{type(error).__name__}: {_told(error, question.url)}")

    async def _exchange(self, question: HttpQuestion) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        body = None if question.body is None else question.body.encode("utf-8", "replace")
        async with self._session.request(
            question.method, question.url, data=body, headers=dict(question.headers)
        ) as response:
            text = await response.content.read(LARGEST + 1)
            while len(text) <= LARGEST and (more := await response.content.read(LARGEST + 1)):
                text += more
        if len(text) > LARGEST:
            return Answer(error=f"the answer is larger than {LARGEST} bytes")
        value = _parsed(text)
        if not 200 <= response.status < 300:
            return Answer(None if value is _NO_JSON else value, f"Request failed with status {response.status}")
        return Answer(error="the answer is not JSON") if value is _NO_JSON else Answer(value)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


_ADDRESS = re.compile(r"[\w+.-]+://[^\s'\"]*")
_ORIGIN = re.compile(r"([\w+.-]+://)?(?:[^/?#]*@)?([^/?#]*)")


def _shown(url: str) -> str:
    """What a bad row may say of an address: keys stand before the host, in the path and in the query."""
    return "".join(_ORIGIN.match(url).groups(""))  # type: ignore[union-attr]


def _told(error: Exception, url: str) -> str:
    text = str(error).replace(url, _shown(url)) if url else str(error)
    return _ADDRESS.sub(lambda address: _shown(address[0]), text)


_NO_JSON = object()


def _parsed(text: bytes) -> Any:
    """NaN and its like are no JSON."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NO_JSON


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
