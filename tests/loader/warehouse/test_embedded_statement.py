"""Where the data of an INSERT begins, which format an answer has, what a server refuses."""

import pytest

from loader.warehouse.embedded_statement import insert_in, inspect


@pytest.mark.parametrize(
    ("text", "statement", "format_", "data"),
    [
        ("INSERT INTO t FORMAT TSV\n1\t2\n", "INSERT INTO t ", "TSV", "1\t2\n"),
        ("insert into t (a, b) values (1, 2)", "insert into t (a, b) ", "Values", " (1, 2)"),
        ("INSERT INTO t FORMAT TSV", "INSERT INTO t ", "TSV", ""),
        ("INSERT INTO t FORMAT TSV \t\r\n\tx", "INSERT INTO t ", "TSV", "\tx"),
        ("INSERT INTO t FORMAT TSV\n\nx", "INSERT INTO t ", "TSV", "\nx"),
        ("INSERT INTO t FORMAT CSV;\n1", "INSERT INTO t ", "CSV", "1"),
        ("INSERT INTO t FORMAT JSONEachRow {}", "INSERT INTO t ", "JSONEachRow", "{}"),
        ("INSERT INTO t SETTINGS a = 'FORMAT' FORMAT CSV\n1", "INSERT INTO t ", "CSV", "1"),
        ("INSERT INTO t FORMAT CSV SETTINGS a = 1, b='x'\n1", "INSERT INTO t ", "CSV", "1"),
        ("-- FORMAT\n/* VALUES */INSERT INTO `format` FORMAT CSV\n1", None, "CSV", "1"),
        ('INSERT INTO t (`values`, "format") FORMAT Native\n', None, "Native", ""),
        ("INSERT INTO FUNCTION file('FORMAT', 'CSV') FORMAT TSV\n1", None, "TSV", "1"),
    ],
)
def test_data_begins_behind_the_format(text: str, statement: str | None, format_: str, data: str) -> None:
    insert = insert_in(text.encode())
    assert insert is not None
    assert statement in (None, insert.statement)
    assert (insert.format, text.encode()[insert.data_at :].decode()) == (format_, data)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("INSERT INTO t FORMAT CSV\n1", ""),
        ("INSERT INTO t SETTINGS a = 'FORMAT' FORMAT CSV\n1", "SETTINGS a = 'FORMAT' "),
        ("INSERT INTO t FORMAT CSV SETTINGS a = 1, b='x'\n1", "SETTINGS a = 1, b='x'"),
        ("INSERT INTO t SETTINGS a = 1 VALUES (1)", "SETTINGS a = 1 "),
    ],
)
def test_settings_stand_before_or_behind_the_format(text: str, settings: str) -> None:
    insert = insert_in(text.encode())
    assert insert is not None
    assert insert.settings == settings


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT 1 FORMAT TSV",
        "INSERT INTO t SELECT 1 FORMAT TSV",
        "INSERT INTO t WITH x AS (SELECT 1) SELECT *",
        "INSERT",
    ],
)
def test_other_statements_take_no_data(text: str) -> None:
    assert insert_in(text.encode()) is None


@pytest.mark.parametrize(
    ("text", "format_"),
    [
        ("SELECT 1", None),
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 'FORMAT CSV'", None),
        ("SELECT 1 FORMAT CSV SETTINGS max_threads = 1;", "CSV"),
        ("SELECT * FROM (SELECT 1 AS format)", None),
    ],
)
def test_the_format_of_an_answer(text: str, format_: str | None) -> None:
    assert inspect(text.encode()).format == format_


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 62),
        (" -- nothing\n", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT 1 INTO OUTFILE 'x'", 344),
        ("INSERT INTO t FROM INFILE 'x'", 344),
        ("INSERT INTO t SELECT * FROM input('a Int8') FORMAT TSV\n1", 48),
    ],
)
def test_what_no_server_runs_is_refused_with_its_code(text: str, code: int) -> None:
    assert (inspect(text.encode()).refused or "").startswith(f"Code: {code}. ")


@pytest.mark.parametrize("text", ["SELECT 1;", "SELECT ';'", "SELECT 1 -- ; SELECT 2", "SELECT `a;b` FROM t;;"])
def test_a_semicolon_at_the_end_or_in_quotes_is_fine(text: str) -> None:
    assert inspect(text.encode()).refused is None


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("alter TABLE t", True),
        ("/* a */ INSERT INTO t SELECT 1", True),
        ("DROP TABLE t", False),
        ("SELECT 'INSERT'", False),
    ],
)
def test_statements_that_need_room_on_the_disk_are_known(text: str, writes: bool) -> None:
    assert inspect(text.encode()).writes is writes
