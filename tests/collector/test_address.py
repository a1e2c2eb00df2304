"""The client's address: which headers are believed, and what of them is recorded."""

import pytest

from collector.hit import Hit
from collector.settings import Settings
from collector.tracking import Tracking
from shared.badrow import Processor
from shared.identity import uuid4
from tests.collector.served import payload, serve


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.0.0.1", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("unknown, 10.0.0.1", "unknown"),
        ("nonsense", "192.0.2.9"),
        ("", "192.0.2.9"),
    ],
)
def test_the_clients_address(header: str, expected: str) -> None:
    assert payload(serve([("X-Forwarded-For", header)])).ip_address == expected


def test_several_headers_are_one_list() -> None:
    headers = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "10.0.0.1")]
    assert payload(serve(headers)).ip_address == "198.51.100.7"
    assert payload(serve(headers, client_ip={"trusted_hops": 1})).ip_address == "10.0.0.1"


@pytest.mark.parametrize(
    ("hops", "address", "line"),
    [
        (None, "6.6.6.6", "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1"),
        (0, "192.0.2.9", None),
        (1, "10.0.0.1", "X-Forwarded-For: 10.0.0.1"),
        (2, "198.51.100.7", "X-Forwarded-For: 198.51.100.7, 10.0.0.1"),
        (9, "6.6.6.6", "X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1"),
    ],
)
def test_with_a_number_of_hops_what_a_client_made_up_counts_for_nothing(
    hops: int | None, address: str, line: str | None
) -> None:
    headers = [("X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.1"), ("Accept", "*/*")]
    found = payload(serve(headers, client_ip={"trusted_hops": hops}))
    assert found.ip_address == address
    assert found.headers == [one for one in (line, "Accept: */*") if one]


@pytest.mark.parametrize(
    ("hops", "address", "line"),
    [
        (1, "10.0.0.1", "x-forwarded-for: 10.0.0.1"),
        (2, "198.51.100.7", "x-forwarded-for: 198.51.100.7, 10.0.0.1"),
    ],
)
def test_hops_are_counted_over_all_headers_of_the_name(hops: int, address: str, line: str) -> None:
    """A proxy may add a header of its own behind the client's instead of adding to it."""
    headers = [("x-forwarded-for", "6.6.6.6, 198.51.100.7"), ("Accept", "*/*"), ("X-Forwarded-For", "10.0.0.1")]
    found = payload(serve(headers, client_ip={"trusted_hops": hops}))
    assert (found.ip_address, found.headers) == (address, [line, "Accept: */*"])
    own = [("X-Client", "6.6.6.6"), ("X-Client", "198.51.100.7")]
    found = payload(serve(own, client_ip={"headers": ["X-Client"], "trusted_hops": 1}))
    assert (found.ip_address, found.headers) == ("198.51.100.7", ["X-Client: 198.51.100.7"])


def test_the_headers_that_tell_the_address_are_the_operators_choice() -> None:
    """Enrichers believe X-Forwarded-For and Forwarded more than the address that was recorded."""
    headers = [("CF-Connecting-IP", "198.51.100.7"), ("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=6.6.6.6")]
    rules = {"headers": ["CF-Connecting-IP"]}
    found = payload(serve(headers, client_ip=rules))
    assert (found.ip_address, found.headers) == ("198.51.100.7", ["CF-Connecting-IP: 198.51.100.7"])
    trusted = payload(serve(headers, client_ip={**rules, "trusted_hops": 1}))
    assert trusted.headers == ["CF-Connecting-IP: 198.51.100.7"]


def test_the_seeds_setting_for_the_address_works_too() -> None:
    settings = Settings.model_validate({"common": {"user_ip_header": "X-Client"}})
    tracking = Tracking(settings, "c", Processor("evnt-collector", "1.0.0"), uuid4)
    hit = Hit("GET", "/i", None, [(b"X-Client", b"198.51.100.7"), (b"X-Forwarded-For", b"6.6.6.6")], b"192.0.2.9")
    assert tracking.client_address(hit) == b"198.51.100.7"
