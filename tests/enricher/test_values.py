"""Corners of the conversions that the vectors do not reach."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enricher import querystring, url, values
from enricher.attributes import derive_tstamp
from enricher.iglu.formats import CHECKS
from enricher.values import Refused
from tests.growth import grows_with_size


@given(st.integers(-(2**40), 2**40))
def test_integers_have_32_bits(number: int) -> None:
    fits = -(2**31) <= number < 2**31
    assert values.integer(str(number)) == (str(number) if fits else values.integer("x"))


def test_a_text_keeps_what_a_line_can_hold() -> None:
    assert values.tsv_safe("a\tb\nc\x7f é\u00a0") == "a    bc é\u00a0"


@pytest.mark.parametrize(
    ("text", "column"),
    [("+1", "1"), ("-0", "0"), ("028288", "28288"), ("٤٢", "42"), ("NULL", ""), ("null", ""), ("0", "0")],
)
def test_integers_are_normalised(text: str, column: str) -> None:
    assert values.integer(text) == column


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1_0", "1.0", "0x1", "²", "𝟒𝟐", "1" * 5_000])
def test_what_is_no_integer(text: str) -> None:
    assert isinstance(values.integer(text), Refused)


NUMBERS = (values.integer, values.decimal, values.timestamp, values.dimensions)


@pytest.mark.parametrize("read", NUMBERS)
def test_digits_that_end_in_a_letter_are_no_number(read: Callable[[str], object]) -> None:
    assert isinstance(read("1" * 20_000 + "x"), Refused)


@pytest.mark.parametrize(
    ("work", "made"),
    [
        (values.decimal, lambda size: "1e" + "0" * size),
        (values.decimal, lambda size: "1e" + "٠" * size),
        *((read, lambda size: "1" * size + "x") for read in NUMBERS),
        (url.parse, lambda size: "http://a/ <" + "é" * size),
        (querystring.decode, lambda size: "%41é" * size),
        (CHECKS["utc-millisec"], lambda size: "1" * size + "x"),
    ],
)
def test_work_grows_no_faster_than_the_text(work: Callable[[str], object], made: Callable[[int], str]) -> None:
    assert grows_with_size(work, made, 5_000)


def test_zeros_before_an_exponent_are_skipped_but_for_ten_digits() -> None:
    assert values.decimal("1e" + "0" * 50 + "2") == "100"
    assert values.decimal("1e-" + "٠" * 50 + "2") == "0.01"
    assert isinstance(values.decimal("1e" + "0" * 50 + "12345678901"), Refused)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_decimals_keep_their_value(number: Decimal) -> None:
    text = values.decimal(str(number))
    assert isinstance(text, str)
    assert Decimal(text) == number


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("1.10", "1.10"),
        ("1.2E9", "1200000000"),
        ("0.0000001", "1E-7"),
        ("0.000001", "0.000001"),
        (".5", "0.5"),
        ("1.", "1"),
        ("-0.00", "0.00"),
        ("0E5", "0"),
        ("-0E5000", "0"),
        ("12E-2147483647", "1.2E-2147483646"),
        ("1E000000000002", "100"),
        ("Null", ""),
    ],
)
def test_decimals_print_as_in_java(text: str, column: str) -> None:
    assert values.decimal(text) == column


@pytest.mark.parametrize(
    ("text", "plain"), [("1E+3", "1000"), ("-0E3", "0"), ("7.5E-9", "0.0000000075"), ("1E-1000", f"0.{'0' * 999}1")]
)
def test_numbers_of_webhooks_are_written_out(text: str, plain: str) -> None:
    assert values.double_like(text) == plain


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("", "null"),
        ("1e", "null"),
        ("+", "No digits found."),
        ("1.2.3", "Character array contains more than one decimal point."),
        ("1,0", "Character , is neither a decimal digit number, decimal point, nor"),
        ("a" * 19, 'Character array is missing "e" notation exponential mark.'),
        ("1E99999999999", "Too many nonzero exponent digits."),
        ("1E999999999", "Too many nonzero exponent digits."),
        ("1e-", "null"),
        ("1E-2147483649", "Exponent overflow."),
        ("1E2147483648", "Exponent overflow."),
        ("e9999999999", "Exponent overflow."),
        ("1ex", "Not a digit."),
        ("e00000000001x", "Not a digit."),
        ("1e2,3456789012", "Too many nonzero exponent digits."),
        ("1😀", "Character ? is neither a decimal digit number, decimal point, nor"),
        ("1" * 15 + "x😀😀", 'Character array is missing "e" notation exponential mark.'),
        ("1e12345678😀x", "Too many nonzero exponent digits."),
        ("1E-2147483648", "Scale out of range."),
        ("0.0E-2147483647", "Scale out of range."),
    ],
)
def test_what_is_no_decimal_in_the_words_of_java(text: str, tail: str) -> None:
    refused = values.decimal(text)
    assert isinstance(refused, Refused)
    assert refused.message.startswith(f"Cannot be converted to java.math.BigDecimal. Error : {tail}")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("0", "1970-01-01 00:00:00.000"),
        ("-1", "1969-12-31 23:59:59.999"),
        ("-62167219200000", "0000-01-01 00:00:00.000"),
        ("253402300799999", "9999-12-31 23:59:59.999"),
    ],
)
def test_timestamps_reach_from_year_0_to_9999(text: str, column: str) -> None:
    assert values.timestamp(text) == column


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-62167219200001", "Formatting as -0001-12-31 23:59:59.999 is not Redshift-compatible"),
        ("253402300800000", "Formatting as 10000-01-01 00:00:00.000 is not Redshift-compatible"),
        ("null", "Not in the expected format: ms since epoch"),
        ("1.5", "Not in the expected format: ms since epoch"),
        (str(2**63), "Not in the expected format: ms since epoch"),
    ],
)
def test_what_is_no_timestamp(text: str, message: str) -> None:
    assert values.timestamp(text) == Refused(message)


@given(st.integers(-62167219200000, 253402300799999))
def test_timestamps_are_read_back(milliseconds: int) -> None:
    formatted = values.format_timestamp(milliseconds)
    assert values.parse_timestamp(formatted) == milliseconds


@pytest.mark.parametrize(
    ("created", "sent", "true", "derived"),
    [
        ("2026-01-02 03:04:05.100", "2026-01-02 03:04:05.350", "", "2026-01-02 03:04:09.750"),
        ("2026-01-02 03:04:05.000", "2026-01-02 03:04:05.999", "", "2026-01-02 03:04:09.001"),
        ("2026-01-02 03:04:05.000", "2026-01-02 03:04:06.001", "", "2026-01-02 03:04:08.999"),
        ("2025-12-31 00:00:00.000", "2026-01-02 00:00:00.000", "", "2025-12-31 03:04:10.000"),
        ("2026-01-02 03:04:05.350", "2026-01-02 03:04:05.100", "", "2026-01-02 03:04:10.000"),
        ("", "2026-01-02 03:04:05.100", "", "2026-01-02 03:04:10.000"),
        ("2026-01-02 03:04:05.100", "", "", "2026-01-02 03:04:10.000"),
        ("2026-01-02 03:04:05.100", "2026-01-02 03:04:05.350", "2026-01-01 00:00:00.000", "2026-01-01 00:00:00.000"),
    ],
)
def test_an_event_happened_when_the_device_says_by_the_collectors_clock(
    created: str, sent: str, true: str, derived: str
) -> None:
    assert derive_tstamp(created, sent, "2026-01-02 03:04:10.000", true) == derived


def test_a_delay_within_a_second_may_reach_into_the_one_before() -> None:
    created, sent = "2026-01-02 03:04:05.100", "2026-01-02 03:04:05.600"
    assert derive_tstamp(created, sent, "2026-01-02 00:00:00.200", "") == "2026-01-01 23:59:59.700"


@pytest.mark.parametrize(
    ("text", "uuid"),
    [
        ("1-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
        ("8F5F2C5E-0000-4000-8000-000000000001", "8f5f2c5e-0000-4000-8000-000000000001"),
        ("", None),
        ("1-1-1-1", None),
        ("g-1-1-1-1", None),
        ("+1-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
        ("00000000000000001-1-1-1-1", "00000001-0001-0001-0001-000000000001"),
        ("1-1-1-1-7fffffffffffffff", "00000001-0001-0001-0001-ffffffffffff"),
        ("1-1-1-1-8000000000000000", None),
    ],
)
def test_lenient_uuids(text: str, uuid: str | None) -> None:
    assert values.lenient_uuid(text) == uuid
