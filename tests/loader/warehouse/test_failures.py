"""Which duty follows from what a server says."""

import pytest

from loader.warehouse import failures
from loader.warehouse.contract import ColumnMissing, HintRefused, OutOfMemory, RowsRefused, Unavailable
from shared.process import Misconfigured

HINT = """Code: 117. DB::Exception: Cannot insert data into JSON column: cannot parse Float64 value here: "zz" (while \
reading path price): (at row 1)
:
Row 1:
Column 0,   name: id,  type: String,                         parsed text: "4"
Column 1,   name: c_1, type: Array(JSON(price Nullable(Float64))), parsed text: "['{"ERROR
Code: 117. DB::Exception: Cannot insert data into JSON column: cannot parse Float64 value here: "zz" (while reading \
path price). (INCORRECT_DATA) (version 26.9.2.1)

: While executing TabSeparatedRowInputFormat. (INCORRECT_DATA) (version 26.9.2.1)"""


def test_a_refused_hint_is_named() -> None:
    found = failures.of_insert(HINT)
    assert isinstance(found, HintRefused)
    assert (found.column, found.path) == ("c_1", "price")


def test_a_path_without_its_column_is_a_refused_row() -> None:
    assert type(failures.of_insert(HINT.partition("Row 1:")[0])) is RowsRefused


@pytest.mark.parametrize(
    ("text", "duty"),
    [
        ("Code: 27. DB::Exception: Cannot parse input: expected '\\t' before: 'x'", RowsRefused),
        ("Code: 69. DB::Exception: Decimal value is too big", RowsRefused),
        ("Code: 16. DB::Exception: No such column x in table", ColumnMissing),
        ("Code: 117. DB::Exception: Unknown field found in TSV header: 'x' at position 3", ColumnMissing),
        ("Code: 516. DB::Exception: default: Authentication failed", Misconfigured),
        ("Code: 60. DB::Exception: Table evnt.events does not exist", Misconfigured),
        ("Code: 497. DB::Exception: Not enough privileges", Misconfigured),
        ("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)", Unavailable),
        ("Code: 241. DB::Exception: Memory limit (total) exceeded", OutOfMemory),
        ("Code: 252. DB::Exception: Too many parts (300)", Unavailable),
        ("Code: 242. DB::Exception: Table is in readonly mode", Unavailable),
        ("Code: 1001. DB::Exception: std::exception. No space left on device", Unavailable),
        (
            "Code: 159. DB::Exception: Wait for async insert timeout exceeded). (TIMEOUT_EXCEEDED)",
            Unavailable,
        ),
        ("Code: 99999. DB::Exception: Something that comes with a later version", Unavailable),
        ("<html>502 Bad Gateway</html>", Unavailable),
        ("", Unavailable),
    ],
)
def test_every_error_of_an_insert_has_a_duty(text: str, duty: type[Exception]) -> None:
    assert type(failures.of_insert(text)) is duty


@pytest.mark.parametrize(
    ("text", "duty"),
    [
        ("Code: 62. DB::Exception: Syntax error", Misconfigured),
        ("Code: 53. DB::Exception: Type mismatch", Misconfigured),
        ("Code: 999. DB::Exception: Session expired (KEEPER_EXCEPTION)", Unavailable),
    ],
)
def test_every_error_of_a_statement_has_a_duty(text: str, duty: type[Exception]) -> None:
    assert type(failures.of_statement(text)) is duty


def test_a_view_that_fails_stops_the_loader_since_its_rows_are_stored() -> None:
    text = "Code: 6. DB::Exception: Cannot parse string 'shop' as Int32: while pushing to view evnt.mine (0a1b-2c). "
    found = failures.of_insert(text + "(CANNOT_PARSE_TEXT) (version 26.9.2.1)\n")
    assert type(found) is Misconfigured
    assert "evnt.mine" in str(found)
    quoted = "Code: 27. DB::Exception: Cannot parse input: 'x: while pushing to view evnt.mine. (A)': (at row 1)"
    assert type(failures.of_insert(quoted)) is RowsRefused


def test_a_refusal_is_told_without_the_page_of_columns() -> None:
    said = "Code: 131. DB::Exception: Too large value for FixedString(3): (at row 2)"
    page = (
        f'Column 0,   name: app_id,{" " * 500}parsed text: "x"\n'
        'Column 30,  name: page_title,  type: Nullable(FixedString(3)),  parsed text: "abcdef"ERROR\n'
    )
    text = f"{said}\n: \nRow 1:\n{page}Code: 131. DB::Exception: Too large value for FixedString(3).\n\n"
    refused = failures.of_insert(text)
    assert isinstance(refused, RowsRefused)
    assert (
        refused.reason == "Code: 131. DB::Exception: Too large value for FixedString(3): (at row 2): column page_title"
    )
    assert refused.row == 1


def test_what_is_no_clickhouse_is_said_to_be_none() -> None:
    for error in (failures.of_statement("404 not found"), failures.of_insert("404 not found" + 10_000 * " and")):
        assert "clickhouse.connection.host and .port" in str(error)
        assert "404 not found" in str(error)
        assert len(str(error)) < 500
