"""What a ClickHouse error asks of the loader. Pure: the server's text in, the exception to raise out."""

import re

from loader.warehouse.contract import ColumnMissing, HintRefused, OutOfMemory, RowsRefused, Unavailable
from shared.process import Misconfigured

_CODE = re.compile(r"Code: (\d+)\. ")

#: What something else in its place answers, a proxy or another program, which may be a long page.
_FOREIGN = "no ClickHouse answered, see clickhouse.connection.host and .port, but something that says: {:.300}"

#: A value that can't be read as the type of its column, or can't be stored in it.
_ROWS = frozenset(
    {
        6,
        25,
        26,
        27,
        33,
        38,
        41,
        43,
        53,
        69,
        70,
        72,
        117,
        128,
        130,
        131,
        167,
        190,
        306,
        321,
        349,
        376,
        407,
        467,
        469,
        675,
        676,
    }
)

#: Limits of the server or of the user, and what the system refuses.
_MEMORY = frozenset({173, 241})

#: No such column: in the statement, or in the first line of the data.
_NO_COLUMN = 16
_UNKNOWN_FIELD = re.compile(r"Unknown field found in \w+ header")

#: Credentials, rights, missing tables, statements that this server does not understand.
_OPERATOR = frozenset(
    {
        36,
        46,
        47,
        48,
        50,
        56,
        57,
        60,
        62,
        63,
        73,
        80,
        81,
        115,
        122,
        164,
        170,
        192,
        193,
        194,
        291,
        344,
        452,
        497,
        516,
        701,
    }
)

#: What an operator looks at first.
_CREDENTIALS = "see clickhouse.connection.username and .password"
_ADVICE = {
    **dict.fromkeys((192, 193, 194, 516), _CREDENTIALS),
    81: "see clickhouse.connection.database, which must exist, and `evnt db init`",
    60: "`evnt db init` makes what is missing, and so does a loader that starts",
    497: "the user needs CREATE, ALTER, INSERT and SELECT on clickhouse.configuration.database",
}

#: Another loader changes the same table or view at this moment: the same statement may succeed the next time.
_RACES = frozenset({57, 60, 82, 341, 473, 517})

_ROW = re.compile(r"\(at row ([1-9][0-9]{0,8})\)")
_PATH = re.compile(r"\(while reading path (?P<path>.+?)\)(?=[.:,])")
_COLUMN = re.compile(r"^Column \d+,\s+name: (?P<name>\S+?),\s", re.MULTILINE)


#: What the server says last of an insert into a table whose view it could not fill. Before that it may quote data.
_VIEW = re.compile(r": while pushing to view (?P<name>[^'\"\n]+)\. \([A-Z_0-9]+\)(?: \(version [^)\n]*\))?\s*\Z")


def of_insert(text: str) -> Exception:
    """The duty that follows from a refused INSERT. An unknown error holds the batch: it may be an outage."""
    code = _code(text)
    if view := _VIEW.search(text):
        # the rows are in the table by then, and any that went in once more would be in it twice
        return Misconfigured(f"a materialized view fails, repair or drop {view['name']}: {text.strip()}")
    if code in _MEMORY:
        return OutOfMemory(text)
    if code == _NO_COLUMN or _UNKNOWN_FIELD.search(text):
        return ColumnMissing(text)
    if code in _ROWS:
        return _hint(text) or RowsRefused(_brief(text), _row(text))
    return of_statement(text) if code in _OPERATOR else _outage(text)


def of_statement(text: str) -> Exception:
    """The duty that follows from any other refused statement."""
    code = _code(text)
    if code not in _OPERATOR | _ROWS | {_NO_COLUMN}:
        return _outage(text)
    advice = _ADVICE.get(code, "")
    return Misconfigured(f"ClickHouse: {text.strip()}" + (f": {advice}" if advice else ""))


def _outage(text: str) -> Unavailable:
    return Unavailable(text if _code(text) else _FOREIGN.format(text.strip()))


def raced(text: str) -> bool:
    """Whether a statement that can run twice may have failed for another one's sake."""
    return _code(text) in _RACES


def _code(text: str) -> int | None:
    found = _CODE.search(text)
    return int(found[1]) if found else None


def _row(text: str) -> int | None:
    """The server counts rows from 1; what it quotes before that may hold anything."""
    found = _ROW.findall(text.partition("\n")[0])
    return int(found[-1]) - 1 if found else None


def _brief(text: str) -> str:
    """What the server says, and of which column, without the page behind it that lays out every one before that."""
    said, _, page = text.strip().partition("\n")
    columns = _COLUMN.findall(page)
    return f"{said.rstrip(': ')}: column {columns[-1]}" if columns else text


def _hint(text: str) -> HintRefused | None:
    """The server names the path, and lists the columns of the row up to the one it could not read."""
    path, columns = _PATH.search(text), _COLUMN.findall(text.partition("ERROR")[0])
    return HintRefused(_brief(text), columns[-1], path["path"]) if path and columns else None
