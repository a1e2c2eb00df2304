"""Files below `/static/`: the scripts of the JavaScript tracker, from the collector's own domain."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter


class File(web.FileResponse):
    """aiohttp's, which may be prepared ahead of its time.

    Only then it knows whether the file is there, has changed, and which part of it is wanted.
    """

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it, once."""
        return None if self.prepared else await super().prepare(request)


class Static:
    """Serves a folder, each file compressed where it has a twin that the client takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        yield web.get("/static/{name:.+}", self.file)

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Whatever is no file of the folder is nobody's, and says nothing of what it is instead."""
        path = await asyncio.to_thread(file_in, self._folder, request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return File(path, headers={"Vary": "Accept-Encoding"})


def file_in(folder: Path, name: str) -> Path | None:
    """The file of this name, which may not lie outside of the folder, not even by a link."""
    try:
        path = (folder / name).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        return None
