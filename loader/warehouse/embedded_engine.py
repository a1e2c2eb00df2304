"""The ClickHouse engine inside this process; the only file that imports chdb.

All calls block and belong in a thread. One data folder per process: the engine itself allows no second one. Each
request gets a connection of its own, which costs 0.2 ms and carries settings, parameters and current database
without leaking them into the next request (a connection that failed leaks even its unread output).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import IO, Any, NamedTuple, Protocol, Self, cast

from chdb.session import Session

from loader.warehouse.embedded_statement import Insert

_DECOMPRESS = "SELECT data FROM file({name:String}, 'RawBLOB', 'data String', {method:String})"
_CODE = re.compile(r"Code: (\d+)\. ")

#: What the engine adds to a message because data came from a file: noise to the client, who sent none.
_SPOOL_FILE = re.compile(r" ?\(in file/uri [^)]*\):?|: data for INSERT was parsed from file")
_REPEATED = re.compile(r"^(Code: \d+\. DB::Exception: )(?=Code: \d+\. DB::Exception: )")


class _Session(Protocol):
    """What we use of chdb's Session, which carries no types."""

    def query(self, sql: str, fmt: str) -> Any: ...
    def close(self) -> None: ...


_open = cast("Callable[[str], _Session]", Session)


class EngineError(Exception):
    """The engine refused or failed; the text is a server's: `Code: 47. DB::Exception: … (UNKNOWN_IDENTIFIER)`."""

    def __init__(self, text: str) -> None:
        found = _CODE.search(text)
        self.code = int(found[1]) if found else 1002
        plain = _SPOOL_FILE.sub("", text[found.start() :] if found else f"Code: 1002. DB::Exception: {text}")
        self.text = _REPEATED.sub("", plain).strip()
        super().__init__(self.text)


class Progress(NamedTuple):
    """What a query cost, as X-ClickHouse-Summary counts it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    elapsed_s: float = 0.0


class Answer(NamedTuple):
    body: bytes
    progress: Progress


class Engine:
    """The engine on one data folder, from construction to `close`."""

    def __init__(self, folder: Path, spool: Path, options: Mapping[str, str]) -> None:
        """folder: of the data. spool: of inserts on their way; what is left in it is of no use to anybody.
        options: what `clickhouse local` takes as arguments. Raises EngineError."""
        self._spool = spool
        spool.mkdir(exist_ok=True)
        for left in spool.iterdir():
            left.unlink()
        arguments = "&".join(f"{name}={value}" for name, value in options.items())
        self._location = f"{folder}?{arguments}"
        self._root = self._session()
        with self.connect() as connection:
            answer = connection.run("SELECT version(), timezone()", "TSVRaw").body.decode()
        #: Version of the engine, and the time zone it writes times in.
        self.version, self.timezone = answer.split()

    def connect(self) -> "Connection":
        return Connection(self._session(), self._spool)

    def decompress(self, data: bytes, method: str) -> bytes:
        """Undo a compression that the engine knows (lz4, xz, bz2, …). Raises EngineError."""
        with _spooled(self._spool) as file, self.connect() as connection:
            file.write(data)
            file.flush()
            connection.set([("param_name", file.name), ("param_method", method)])
            return connection.run(_DECOMPRESS, "RawBLOB").body

    def cancel_queries(self) -> None:
        """Make every statement that runs now fail as soon as it can."""
        with self.connect() as connection:
            connection.run("KILL QUERY WHERE query NOT ILIKE 'KILL QUERY%'", "Null")

    def merge(self, wanted: bool) -> None:
        """Let parts be merged, or cancel that and begin no other."""
        with self.connect() as connection:
            connection.run(f"SYSTEM {'START' if wanted else 'STOP'} MERGES", "Null")

    def close(self) -> None:
        self._root.close()

    def _session(self) -> _Session:
        try:
            return _open(self._location)
        except RuntimeError as error:
            raise EngineError(str(error)) from error


class Connection:
    """State of one client: database, settings, parameters. Serves one call at a time."""

    def __init__(self, session: _Session, spool: Path) -> None:
        self._session = session
        self._spool = spool

    def use(self, database: str) -> None:
        self.run(f"USE `{database.replace('`', '``')}`", "Null")

    def set(self, settings: Iterable[tuple[str, str]]) -> None:
        """Settings, and parameters as `param_<name>`, for all that follows on this connection."""
        if assignments := ", ".join(f"{_name(name)} = {quoted(value)}" for name, value in settings):
            self.run(f"SET {assignments}", "Null")

    def reset(self, names: Iterable[str]) -> None:
        """Undo `set`; parameters stay, they harm nobody."""
        for name in names:
            if not name.startswith("param_"):
                self.run(f"SET {_name(name)} = DEFAULT", "Null")

    def run(self, statement: str, default_format: str) -> Answer:
        """Run one statement and return its whole output. Raises EngineError."""
        try:
            result = self._session.query(statement, default_format)
        except RuntimeError as error:
            raise EngineError(str(error)) from None
        progress = Progress(
            result.rows_read(), result.bytes_read(), result.rows_written(), result.bytes_written(), result.elapsed()
        )
        return Answer(result.bytes(), progress)

    def insert(self, insert: Insert) -> "Insertion":
        """Begin an INSERT. Raises EngineError."""
        return Insertion(self, insert, _spooled(self._spool))

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Insertion:
    """Data on its way into a table; nothing of it counts before `finish`.

    It goes through a file. chdb's streaming insert would save that, but answers with success where the disk is full
    and nothing was stored; a whole statement with its data inline costs ten times as much.
    """

    def __init__(self, connection: Connection, insert: Insert, file: IO[bytes]) -> None:
        self._connection = connection
        self._insert = insert
        self._file = file

    def append(self, data: bytes) -> None:
        with _disk():
            self._file.write(data)

    def finish(self) -> Progress:
        """Store what was appended, all or none. Raises EngineError."""
        with _disk():
            self._file.flush()
        insert = self._insert
        source = f"FROM INFILE {quoted(self._file.name)} {insert.settings} FORMAT {insert.format}"
        return self._connection.run(f"{insert.statement} {source}", "Null").progress

    def close(self) -> None:
        """Forget the data."""
        with suppress(OSError):  # what did not fit on the disk is tried once more
            self._file.close()


def _spooled(folder: Path) -> IO[bytes]:
    with _disk():
        return NamedTemporaryFile(dir=folder)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"Code: 243. DB::Exception: Can't keep the data of the insert: {error.strerror}. (NOT_ENOUGH_SPACE)"
        raise EngineError(text) from error


def quoted(text: str) -> str:
    """A string literal of ClickHouse's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text, re.ASCII):
        raise EngineError(f"Code: 115. DB::Exception: Unknown setting {quoted(text)}. (UNKNOWN_SETTING)")
    return text
