"""Base64 as commons-codec reads it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enricher import base64url


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
