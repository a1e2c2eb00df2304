"""How a ClickHouse server answers: the HTTP status of an error, the content type of a format."""

_STATUS = {
    **dict.fromkeys((194,), 401),
    **dict.fromkeys((192, 193, 497, 516), 403),
    **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 43, 53, 62, 72, 117, 167, 168, 223, 321, 354, 376, 467), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115), 404),
    **dict.fromkeys((159,), 408),
    **dict.fromkeys((229,), 413),
    **dict.fromkeys((48,), 501),
    **dict.fromkeys((202, 203, 209, 439), 503),
}

_CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
    "TSVWithNames": "text/tab-separated-values; charset=UTF-8",
    "TSVWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
    **dict.fromkeys(("Native", "RowBinary", "Parquet", "Arrow", "ArrowStream", "ORC"), "application/octet-stream"),
}


def status_of(code: int) -> int:
    """HTTP status of an error code."""
    return _STATUS.get(code, 500)


def content_type_of(format_: str) -> str:
    """Content type of an answer in a format."""
    return _CONTENT_TYPES.get(format_, "text/plain; charset=UTF-8")
