"""What a request says of itself: the address that proxies forward."""

import pytest

from enricher.request import forwarded_address


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["X-Forwarded-For: 203.0.113.9, 10.0.0.1"], "203.0.113.9"),
        (["x-forwarded-for: [2001:DB8::1]:80"], "2001:db8::1"),
        (["Forwarded: for=198.51.100.7;proto=https"], "198.51.100.7"),
        (['Forwarded: for="[2001:db8::2]:4711"'], "2001:db8::2"),
        (["Forwarded: for=198.51.100.7", "X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
        (["X-Forwarded-For: 203.0.113.9", "Forwarded: for=198.51.100.7"], "203.0.113.9"),
        (["X-Forwarded-For: nobody", "Forwarded: for=198.51.100.7"], "198.51.100.7"),
        (["Forwarded: by=198.51.100.7"], None),
        (["X-As-Long-As-It: 203.0.113.9"], None),
        (["For-As-Long: as=203.0.113.9"], None),
        (["Host: 203.0.113.9"], None),
        ([], None),
    ],
)
def test_the_first_hop_of_the_forwarding_headers(lines: list[str], address: str | None) -> None:
    assert forwarded_address(lines) == address
