"""The bytes of CollectorPayload: equal to other implementations', and safe to read whatever they claim."""

import base64
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import thriftpy2
from hypothesis import given
from hypothesis import strategies as st
from thriftpy2.protocol.binary import TBinaryProtocolFactory
from thriftpy2.transport.memory import TMemoryBuffer

from shared.payload import SCHEMA, CollectorPayload, Encoder, encode
from shared.payload_reader import END_OF_BYTES, Damaged, decode

#: The other library has no types.
buffer: Any = TMemoryBuffer
protocols: Any = cast("Any", TBinaryProtocolFactory)()

#: Our field → (name, type, id) as generated Thrift code has it.
FIELDS = {
    "ip_address": ("ipAddress", "string", 100),
    "timestamp": ("timestamp", "i64", 200),
    "encoding": ("encoding", "string", 210),
    "collector": ("collector", "string", 220),
    "user_agent": ("userAgent", "string", 300),
    "referer_uri": ("refererUri", "string", 310),
    "path": ("path", "string", 320),
    "querystring": ("querystring", "string", 330),
    "body": ("body", "string", 340),
    "headers": ("headers", "list<string>", 350),
    "content_type": ("contentType", "string", 360),
    "hostname": ("hostname", "string", 400),
    "network_userid": ("networkUserId", "string", 410),
    "schema": ("schema", "string", 31337),
}

FULL = CollectorPayload(
    schema=SCHEMA,
    ip_address="2001:db8::1",
    timestamp=1_700_000_000_123,
    encoding="UTF-8",
    collector="evnt-collector-1.0.0-embedded",
    user_agent="Mozilla/5.0 (ünïcode)",
    referer_uri="https://example.com/",
    path="/com.snowplowanalytics.snowplow/tp2",
    querystring="e=pv",
    body='{"schema":"","data":[]}',
    headers=["Host: example.com", "Accept: */*", ""],
    content_type="application/json",
    hostname="example.com",
    network_userid="00000000-0000-0000-0000-000000000000",
)


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> type[Any]:
    """The struct as another Thrift library builds it from an interface definition."""
    members = "\n".join(f"  {identifier}: optional {kind} {name}" for name, kind, identifier in FIELDS.values())
    file = Path(tmp_path_factory.mktemp("idl")) / "collector_payload.thrift"
    file.write_text(f"struct CollectorPayload {{\n{members}\n}}\n")
    return cast("type[Any]", thriftpy2.load(str(file)).CollectorPayload)


def peer_bytes(peer: type[Any], payload: CollectorPayload) -> bytes:
    transport = buffer()
    struct = peer(**{name: getattr(payload, ours) for ours, (name, _, _) in FIELDS.items()})
    struct.write(protocols.get_protocol(transport))
    return cast("bytes", transport.getvalue())


def peer_fields(peer: type[Any], data: bytes) -> dict[str, Any]:
    struct = peer()
    struct.read(protocols.get_protocol(buffer(data)))
    return {ours: getattr(struct, name) for ours, (name, _, _) in FIELDS.items()}


texts = st.none() | st.text(max_size=40)
payloads = st.builds(
    CollectorPayload,
    **{name: texts for name in FIELDS if name not in ("timestamp", "headers")},
    timestamp=st.integers(-(2**63), 2**63 - 1),
    headers=st.none() | st.lists(st.text(max_size=20), max_size=5),
)


@given(payloads)
def test_another_thrift_library_writes_and_reads_the_same(peer: type[Any], payload: CollectorPayload) -> None:
    data = encode(payload)
    assert data == peer_bytes(peer, payload)
    assert peer_fields(peer, data) == {name: getattr(payload, name) for name in FIELDS}


@given(st.lists(payloads, min_size=1, max_size=4))
def test_structs_back_to_back_come_out_one_by_one_with_their_bytes(structs: list[CollectorPayload]) -> None:
    data = [encode(struct) for struct in structs]
    read = list(decode(b"".join(data)))
    assert read == structs
    assert [struct.record for struct in read] == data


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_quoted_to_the_last(data: bytes) -> None:
    read = list(decode(data))
    assert b"".join(part.record for part in read) == data
    assert all(isinstance(part, CollectorPayload) for part in read[:-1])


def test_every_truncation_is_refused() -> None:
    data = encode(FULL)
    for length in range(len(data)):
        assert list(decode(data[:length])) == [Damaged(data[:length], END_OF_BYTES)]


def test_a_broken_tail_does_not_harm_what_is_before_it() -> None:
    data = encode(FULL)
    assert list(decode(data + data[:-1])) == [FULL, Damaged(data[:-1], END_OF_BYTES)]


def test_sizes_are_those_that_collectors_assert() -> None:
    assert len(encode(CollectorPayload())) == 12
    assert len(encode(CollectorPayload(querystring="x" * 1000))) == 1019
    assert len(encode(CollectorPayload(headers=["ab", "c"]))) == 12 + 8 + 6 + 5


FORGED: Mapping[str, bytes] = {
    "string longer than the buffer": b"\x0b\x00\x64\x7f\xff\xff\xff" + b"x" * 10,
    "negative string length": b"\x0b\x00\x64\xff\xff\xff\xff" + b"x" * 10,
    "unknown string longer than the buffer": b"\x0b\x00\x01\x7f\xff\xff\xff",
    "headers of a million items": b"\x0f\x01\x5e\x0b\x00\x0f\x42\x40" + b"\0" * 100,
    "negative count of headers": b"\x0f\x01\x5e\x0b\xff\xff\xff\xff" + b"\0" * 100,
    "negative length of a header": b"\x0f\x01\x5e\x0b\x00\x00\x00\x01\xff\xff\xff\xff" + b"\0" * 100,
    "unknown list of two billion bytes": b"\x0f\x00\x01\x03\x7f\xff\xff\xff" + b"\0" * 100,
    "unknown map of two billion": b"\x0d\x00\x01\x03\x03\x7f\xff\xff\xff" + b"\0" * 100,
    "negative count of an unknown list": b"\x0f\x00\x01\x03\xff\xff\xff\xff" + b"\0" * 100,
    "unknown type": b"\x63\x00\x01" + b"\0" * 100,
    "lists in lists without end": b"\x0f\x00\x01" + b"\x0f\x00\x00\x00\x01" * 10_000,
    "structs in structs without end": b"\x0c\x00\x01" * 10_000,
    "nothing but stop bytes": b"\0" * 1_000_000,
    "no bytes": b"",
}


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED.keys())
def test_what_bytes_claim_costs_no_more_than_what_they_are(data: bytes) -> None:
    begin = time.process_time()
    (damaged,) = decode(data)
    assert isinstance(damaged, Damaged)
    assert damaged.record == data
    assert time.process_time() - begin < 1


def test_unknown_fields_and_known_ones_of_another_type_are_skipped() -> None:
    strange = (
        b"\x02\x00\x01\x01"  # bool
        b"\x0c\x00\x02\x08\x00\x01\x00\x00\x00\x07\x00"  # struct of an i32
        b"\x0d\x00\x03\x0b\x06\x00\x00\x00\x01\x00\x00\x00\x01k\x00\x05"  # map of string to i16
        b"\x0e\x00\x04\x0a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09"  # set of i64
        b"\x04\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00"  # double
        b"\x0b\x00\xc8\x00\x00\x00\x01x"  # the timestamp's id as string
        b"\x08\x00\x64\x00\x00\x00\x01"  # the address's id as i32
        b"\x0b\x01\x5e\x00\x00\x00\x01x"  # the headers' id as string
        b"\x0f\x01\x5e\x08\x00\x00\x00\x01\x00\x00\x00\x01"  # the headers' id as list of i32
    )
    assert list(decode(strange + encode(FULL))) == [FULL]


def test_text_that_is_no_utf8_is_replaced_and_its_bytes_kept() -> None:
    data = encode(CollectorPayload(path="?")).replace(b"?", b"\xff")
    (payload,) = decode(data)
    assert isinstance(payload, CollectorPayload)
    assert (payload.path, payload.record) == ("\N{REPLACEMENT CHARACTER}", data)


def test_a_lone_surrogate_does_not_stop_writing() -> None:
    assert list(decode(encode(CollectorPayload(path="\ud800")))) == [CollectorPayload(path="?")]


def test_the_collectors_encoder_writes_the_same_bytes() -> None:
    encoder = Encoder("evnt-collector-1.0.0-embedded")
    data = encoder.encode(
        b"2001:db8::1",
        FULL.timestamp,
        [line.encode() for line in FULL.headers or []],
        b"00000000-0000-0000-0000-000000000000",
        user_agent=(FULL.user_agent or "").encode(),
        referer_uri=b"https://example.com/",
        path=b"/com.snowplowanalytics.snowplow/tp2",
        querystring=b"e=pv",
        body=b'{"schema":"","data":[]}',
        content_type=b"application/json",
        hostname=b"example.com",
    )
    assert data == encode(FULL)


def test_the_collectors_encoder_leaves_out_what_is_unset() -> None:
    expected = CollectorPayload(
        SCHEMA, "unknown", 7, "UTF-8", "evnt-collector-1.0.0-embedded", headers=[], network_userid="n"
    )
    assert Encoder("evnt-collector-1.0.0-embedded").encode(b"unknown", 7, [], b"n") == encode(expected)


#: The first bytes of a record that a Snowplow collector wrote: address, then timestamp.
SNOWPLOW = "CwBkAAAACTEyNy4wLjAuMQoAyAAAAAAAAAAHAA=="


def test_reads_the_bytes_of_snowplow_collectors() -> None:
    assert list(decode(base64.b64decode(SNOWPLOW))) == [CollectorPayload(ip_address="127.0.0.1", timestamp=7)]
