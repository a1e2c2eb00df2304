"""Connections that outlive a request: `session_id` keeps temporary tables and SET between requests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loader.warehouse.embedded_engine import Connection, Engine, EngineError

#: Seconds that an idle session is kept when the client asks for no other time.
DEFAULT_TIMEOUT_S = 60.0

#: Longest time in seconds that an idle session may ask to be kept (the engine's own default).
LONGEST_TIMEOUT_S = 3600.0


@dataclass
class _Session:
    connection: Connection
    busy: bool
    expires: float


class Sessions:
    """Lends a connection to one call at a time; called from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def lend(self, session_id: str, timeout_s: float) -> Iterator[Connection]:
        """The session's connection, made where there is none; without an id a fresh one for this call only.

        Raises EngineError when another call uses the session now.
        """
        if not session_id:
            with self._engine.connect() as connection:
                yield connection
            return
        session = self._take(session_id)
        try:
            yield session.connection
        except EngineError:
            session.connection.run("SELECT 1", "Null")  # swallows what the failed query left unread
            raise
        finally:
            session.expires = time.monotonic() + min(timeout_s, LONGEST_TIMEOUT_S)
            session.busy = False

    def close(self) -> None:
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _take(self, session_id: str) -> _Session:
        with self._lock:
            self._expire()
            session = self._sessions.get(session_id)
            if session is None:
                session = self._sessions[session_id] = _Session(self._engine.connect(), busy=False, expires=0)
            if session.busy:
                raise EngineError(
                    f"Code: 373. DB::Exception: Session {session_id} is locked by a concurrent client. "
                    "(SESSION_IS_LOCKED)"
                )
            session.busy = True
            return session

    def _expire(self) -> None:
        now = time.monotonic()
        for name in [name for name, session in self._sessions.items() if not session.busy and session.expires < now]:
            self._sessions.pop(name).connection.close()
