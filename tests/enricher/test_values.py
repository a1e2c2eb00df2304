"""Corners of the conversions that the vectors do not reach."""

import base64
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enricher import base64url, querystring, url, values
from enricher.attributes import derive_tstamp
from enricher.iglu.formats import CHECKS
from enricher.java_uri import Uri, java_uri
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
        ("1E-2147483648", "1E-2147483648"),
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
    ("text", "written", "host", "port"),
    [
        ("https://me:pa|ss@a.com:8080/x", "https://me:pa%7Css@a.com:8080/x", "a.com", "8080"),
        ("//m<e@a.com/x", "//m%3Ce@a.com/x", "a.com", "80"),
        ("http://:100%@a.com/", "http://:100%25@a.com/", "a.com", "80"),
        ("http://a.com:80/x|?mail=me@b.com", "http://a.com:80/x%7C?mail=me%40b.com", "a.com", "80"),
        ("http://[::1]:8080/x|", "http://[::1]:8080/x%7C", "[::1]", "8080"),
        ("http://a_b.com:8080/x|", "http://a_b.com:8080/x%7C", "", "80"),
    ],
)
def test_a_url_is_encoded_anew(text: str, written: str, host: str, port: str) -> None:
    uri = url.parse(text)
    assert isinstance(uri, Uri)
    assert uri.text == written
    assert url.parts(uri)[1:3] == (host, port)


@pytest.mark.parametrize("text", ["http://a.com:x/|", "http://a.com:/|", "//a.com:8o/|", "http://http://a.com/|"])
def test_a_port_that_is_no_number_can_not_be_encoded_anew(text: str) -> None:
    refused = url.parse(text)
    assert isinstance(refused, Refused)
    assert refused.message.endswith("nor by Scala parsing (error: [Invalid URL could not be parsed.]).")


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


@given(st.text(max_size=40), st.booleans(), st.booleans())
def test_base64_is_read_in_both_alphabets(text: str, url_safe: bool, padded: bool) -> None:
    raw = text.encode("utf-8", "replace")
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(raw).decode()
    assert base64url.decode(encoded if padded else encoded.rstrip("=")) == raw.decode()


@given(st.text(max_size=40))
def test_base64_is_never_an_error(text: str) -> None:
    assert isinstance(base64url.decode(text), str)


@pytest.mark.parametrize(
    ("text", "decoded"), [("YQ==YQ==", "a"), ("Y\nQ", "a"), ("=YQ", ""), ("YWJj!ZA", "abcd"), ("Y", "")]
)
def test_base64_skips_and_stops_as_commons_codec(text: str, decoded: str) -> None:
    assert base64url.decode(text) == decoded


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("http://a_b.example:8080/", "", "80"),
        ("https://a_b.example:8080/", "", "443"),
        ("https://a.example", "a.example", "443"),
        ("HTTPS://a.example", "a.example", "80"),
        ("http://user:secret@a.example:81/x", "a.example", "81"),
        ("http://@a.example:81/x", "a.example", "81"),
        ("http://[2001:db8::1]:82/", "[2001:db8::1]", "82"),
        ("http://[::ffff:1.2.3.4]:82/", "[::ffff:1.2.3.4]", "82"),
        ("http://[1:2:3:4:5:6:1.2.3.4]/", "[1:2:3:4:5:6:1.2.3.4]", "80"),
        ("http://[1:2:3:4:5:6:7::%25eth0]/", "[1:2:3:4:5:6:7::%25eth0]", "80"),
        ("http://1.2.3/", "", "80"),
        ("http://1.2.3.4:5/", "1.2.3.4", "5"),
        ("http://0001.2.3.0255/", "0001.2.3.0255", "80"),
        ("http://1.2.3.0999/", "", "80"),
        ("http://grüße.example/", "", "80"),
        ("about:blank", "", "80"),
        ("mailto:a@b.example", "", "80"),
        ("//a.example/x", "a.example", "80"),
        ("http://a.example:99999/", "a.example", "99999"),
    ],
)
def test_hosts_and_ports(text: str, host: str, port: str) -> None:
    uri = url.parse(text)
    assert isinstance(uri, Uri)
    assert url.parts(uri)[1:3] == (host, port)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://", "Expected authority at index 7: http://"),
        ("http://a.example/a[b]", "Illegal character in path at index 18: http://a.example/a[b]"),
        ("http://a.example/%zz", "Malformed escape pair at index 17: http://a.example/%zz"),
        ("http://a|%zz/", "Illegal character in authority at index 7: http://a|%zz/"),
        ("http://a%zz|/", "Malformed escape pair at index 8: http://a%zz|/"),
        ("http://[1:2:3]/", "Malformed IPv6 address at index 8: http://[1:2:3]/"),
        ("http://[1::2::3]/", "Malformed IPv6 address at index 8: http://[1::2::3]/"),
        ("http://[1:2:3:4:5:6:7::8]/", "Malformed IPv6 address at index 8: http://[1:2:3:4:5:6:7::8]/"),
        ("http://[::12345]/", "Malformed IPv6 address at index 8: http://[::12345]/"),
        ("http://[::1.2.3.256]/", "Malformed IPv6 address at index 8: http://[::1.2.3.256]/"),
        ("http://[::1.2.3.4:5]/", "Malformed IPv6 address at index 8: http://[::1.2.3.4:5]/"),
        ("http://[::1]a", "Expected port number at index 12: http://[::1]a"),
        ("http://a b\n", "Illegal character in authority at index 7: http://a b\n"),
        ("http://a.example/?a=\\", "Illegal character in query at index 20: http://a.example/?a=\\"),
        ("a#b#c", "Illegal character in fragment at index 3: a#b#c"),
        (":x", "Expected scheme name at index 0: :x"),
        ("1x:y", "Illegal character in scheme name at index 0: 1x:y"),
    ],
)
def test_what_java_says_of_no_uri(text: str, message: str) -> None:
    assert java_uri(text) == Refused(message)


@given(st.text(max_size=30))
def test_any_text_is_a_url_or_refused(text: str) -> None:
    uri = url.parse(text)
    if isinstance(uri, Uri):
        assert isinstance(java_uri(uri.text), Uri)
        assert all(isinstance(part, str) for part in url.parts(uri))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1&b;c=&=x&&a=2", [("a", "1"), ("b", None), ("c", ""), ("a", "2")]),
        ("?e=pv", [("?e", "pv")]),
        ("a=%C3%A9+x", [("a", "é x")]),
        ("a=é", [("a", "\N{REPLACEMENT CHARACTER}")]),
        ("a=1#b=2", [("a", "1")]),
    ],
)
def test_query_strings(text: str, pairs: querystring.Pairs) -> None:
    assert querystring.pairs(text) == pairs


def test_what_is_beyond_ascii_loses_its_upper_byte_and_escapes_nothing() -> None:
    assert querystring.pairs("\u0125=\u012541+%41\U0001f600&\u013d=x") == [("%", "%41 A=\0"), ("=", "x")]


@pytest.mark.parametrize(
    ("sent", "marks"),
    [
        (b"\xed\xa0\xbd\xed\xb8\x80", 2),
        (b"\xed\xa0a", 1),
        (b"\xed\x9f\xbf", 0),
        (b"\xe0\x80\xed\xbf", 3),
        (b"\xed", 1),
        (b"\xf4\x90\x80\x80", 4),
    ],
)
def test_half_a_pair_that_is_encoded_by_itself_is_one_replacement(sent: bytes, marks: int) -> None:
    [(_, from_query)] = querystring.split("a=" + "".join(f"%{byte:02X}" for byte in sent), "UTF-8")
    from_base64 = base64url.decode(base64.b64encode(sent).decode())
    assert from_query == from_base64
    assert from_base64.count("\N{REPLACEMENT CHARACTER}") == marks


def test_an_illegal_query_counts_from_the_dummy_url() -> None:
    assert querystring.pairs("a=|b") == Refused("Illegal character in query at index 20: http://localhost/?a=|b")
