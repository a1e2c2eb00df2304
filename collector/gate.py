"""Who is let in: hosts that are served, and HTTPS where it is demanded."""

from collector.answer import Answer
from collector.settings import Settings


class Gate:
    """Turns requests away before anything else looks at them."""

    def __init__(self, settings: Settings) -> None:
        hosts = [host.lower() for host in settings.security.trusted_hosts]
        self._any_host = "*" in hosts
        self._hosts = frozenset(hosts)
        self._suffixes = tuple(host[1:] for host in hosts if host.startswith("*."))
        self._https = settings.security.enable_https_redirect
        self._proxied = settings.security.trust_proxy_headers
        port = settings.collector.ssl.port
        self._port = f":{port}" if settings.collector.ssl.enable and port != 443 else ""

    @property
    def open(self) -> bool:
        """Whether everybody is let in."""
        return self._any_host and not self._https

    def refusal(self, method: str, target: str, host: str, forwarded: str, secure: bool) -> Answer | None:
        """The answer that turns the request away; None when it may come in. `forwarded`: X-Forwarded-Proto."""
        name = _name(host)
        if not self._any_host and name not in self._hosts and not name.endswith(self._suffixes or ("\0",)):
            return Answer(400, [("Content-Type", "text/plain")], b"Invalid host header")
        if self._https and name and not self._came_by_https(forwarded, secure):
            # 308 keeps a POST a POST, with its events
            status = 301 if method in ("GET", "HEAD") else 308
            path = target if target.startswith("/") else "/"
            return Answer(status, [("Location", f"https://{name}{self._port}{path}")])
        return None

    def _came_by_https(self, forwarded: str, secure: bool) -> bool:
        """What is not HTTP is not sent away."""
        if secure or not self._proxied or not forwarded:
            return secure
        return clients_scheme(forwarded) != "http"


def clients_scheme(forwarded: str) -> str:
    """Of the proxies that X-Forwarded-Proto lists, the first to have said something met the client."""
    return forwarded.partition(",")[0].strip().lower()


def _name(host: str) -> str:
    return (host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]).lower()
