"""URLs as java.net.URI reads them, and those that only the forgiving parser does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enricher import url
from enricher.java_uri import Uri, java_uri
from enricher.values import Refused


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
