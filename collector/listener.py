"""Listening: plain and TLS sockets, shared by the workers, closed in order."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from collector.settings import CollectorSettings, SslSettings
from shared.process import Misconfigured, cannot_listen


@asynccontextmanager
async def listening(server: web.Server, settings: CollectorSettings) -> AsyncIterator[list[int]]:
    """Serve while the context lasts; gives the ports that were bound.

    At its end no connection is taken any more, requests in flight get the time of the settings, the rest is closed.
    """
    runner = web.ServerRunner(server, shutdown_timeout=settings.shutdown.deadline_seconds)
    await runner.setup()
    try:
        await _listen(runner, settings.host, settings.port, "collector.port", settings.workers > 1, None)
        if settings.ssl.enable:
            context = tls(settings.ssl)
            await _listen(runner, settings.host, settings.ssl.port, "collector.ssl.port", settings.workers > 1, context)
        yield [address[1] for address in runner.addresses]
    finally:
        await runner.cleanup()


def tls(settings: SslSettings) -> ssl.SSLContext:
    """The server's side of TLS, from the certificate files. Raises Misconfigured."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    def password() -> str:
        """Asked for where the key has one; without an answer of ours OpenSSL asks whoever sits at the terminal."""
        if settings.key_password is None:
            raise Misconfigured(f"collector.ssl: {settings.key_file} has a password: set collector.ssl.key_password")
        return settings.key_password.get_secret_value()

    try:
        context.load_cert_chain(str(settings.certificate_file), settings.key_file, password)
    except (OSError, ssl.SSLError) as error:
        files = f"{settings.certificate_file} with the key {settings.key_file}"
        raise Misconfigured(f"collector.ssl: the certificate {files} can't be used: {error}") from error
    return context


async def _listen(
    runner: web.ServerRunner, host: str, port: int, option: str, shared: bool, context: ssl.SSLContext | None
) -> None:
    site = web.TCPSite(runner, host, port, ssl_context=context, reuse_port=shared or None, backlog=1024)
    try:
        await site.start()
    except OSError as error:
        raise cannot_listen(error, host, port, option) from error
