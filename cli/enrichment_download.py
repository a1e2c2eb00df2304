"""Downloads a data file: whole or not at all."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

_CHUNK = 1 << 16
_TIMEOUT_S = 600


class Refused(Exception):
    """The file was not to be had."""


async def download(url: str, path: Path) -> int:
    """Put the file in its place, where a running enricher finds it whole, and return its size in bytes.

    Raises Refused.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise Refused("only http and https can be fetched: copy the file yourself, and set `uri` to its folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.part")
    try:
        async with asyncio.timeout(_TIMEOUT_S), aiohttp.ClientSession() as session, session.get(url) as response:
            if response.status != 200:
                raise Refused(f"answered with status {response.status}")
            size = 0
            with fresh.open("wb") as file:
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += file.write(chunk)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        fresh.unlink(missing_ok=True)
        raise Refused(str(error) or type(error).__name__) from error
    fresh.replace(path)
    return size
