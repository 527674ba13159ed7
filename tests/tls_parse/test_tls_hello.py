"""Hellos: what was built comes back, real handshakes are read as tshark reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.tls.fingerprint import ja3, ja4
from tlslab.tls.hello import (
    HELLO_RETRY_REQUEST_RANDOM,
    MAX_PEEK,
    ClientHello,
    ServerHello,
    certificate_list,
    key_exchange_group,
    peek_client_hello,
)
from tlslab.tls.records import (
    MalformedTLS,
)
from tlslab.tls.registry import (
    cipher_suite_name,
    group_name,
    is_grease,
    version_name,
    without_grease,
)

# Builders: the other half of "parse(build(x)) == x", written from RFC 8446, not from the parser.


def vector(length_size: int, data: bytes) -> bytes:
    return len(data).to_bytes(length_size) + data


def u16s(values: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


@dataclass
class HelloFields:
    """What the parser should give back."""

    legacy_version: int = 0x0303
    random: bytes = bytes(range(32))
    session_id: bytes = b""
    cipher_suites: tuple[int, ...] = (0x1301,)
    compression_methods: bytes = b"\0"
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    supported_versions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    signature_algorithms: tuple[int, ...] = ()
    key_shares: tuple[tuple[int, bytes], ...] = ()
    unknown: tuple[tuple[int, bytes], ...] = ()

    def extensions(self) -> list[tuple[int, bytes]]:
        known: list[tuple[int, bytes]] = []
        if self.server_name is not None:
            name = b"\0" + vector(2, self.server_name.encode())
            known.append((0, vector(2, name)))
        if self.groups:
            known.append((10, vector(2, u16s(self.groups))))
        if self.signature_algorithms:
            known.append((13, vector(2, u16s(self.signature_algorithms))))
        if self.alpn:
            names = b"".join(vector(1, name.encode("latin-1")) for name in self.alpn)
            known.append((16, vector(2, names)))
        if self.supported_versions:
            known.append((43, vector(1, u16s(self.supported_versions))))
        if self.key_shares:
            shares = b"".join(u16s((group,)) + vector(2, key) for group, key in self.key_shares)
            known.append((51, vector(2, shares)))
        return known + list(self.unknown)

    def body(self) -> bytes:
        extensions = b"".join(u16s((kind,)) + vector(2, data) for kind, data in self.extensions())
        return (
            u16s((self.legacy_version,))
            + self.random
            + vector(1, self.session_id)
            + vector(2, u16s(self.cipher_suites))
            + vector(1, self.compression_methods)
            + (vector(2, extensions) if extensions else b"")
        )


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(3, body)


def record(content_type: int, payload: bytes, version: int = 0x0303) -> bytes:
    return bytes([content_type]) + u16s((version,)) + vector(2, payload)


def offset_of_error(parse: Callable[[bytes], object], data: bytes) -> int:
    """Where the parser gave up, or 0. Any error but the declared one fails the test."""
    try:
        parse(data)
    except MalformedTLS as error:
        return error.offset
    return 0


u16 = st.integers(0, 0xFFFF)
letters = st.text("abcdefghijklmnopqrstuvwxyz0123456789.-", min_size=1, max_size=255)


def some(values: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(values, max_size=8).map(tuple)


hellos = st.builds(
    HelloFields,
    legacy_version=u16,
    random=st.binary(min_size=32, max_size=32),
    session_id=st.binary(max_size=32),
    cipher_suites=st.lists(u16, min_size=1, max_size=20).map(tuple),
    compression_methods=st.binary(min_size=1, max_size=3),
    server_name=st.none() | letters,
    alpn=st.lists(st.binary(max_size=255).map(lambda name: name.decode("latin-1")), max_size=3).map(
        tuple
    ),
    supported_versions=some(u16),
    groups=some(u16),
    signature_algorithms=some(u16),
    key_shares=st.lists(st.tuples(u16, st.binary(max_size=40)), max_size=3).map(tuple),
    unknown=st.lists(
        st.tuples(st.integers(0x2000, 0x5000), st.binary(max_size=20)),
        max_size=3,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
)


@given(hellos)
def test_a_client_hello_comes_back_as_built(fields: HelloFields) -> None:
    parsed = ClientHello.parse(fields.body())
    for name in (
        "legacy_version",
        "random",
        "session_id",
        "cipher_suites",
        "compression_methods",
        "server_name",
        "alpn",
        "supported_versions",
        "groups",
        "signature_algorithms",
    ):
        assert getattr(parsed, name) == getattr(fields, name), name
    assert tuple((share.group, share.key) for share in parsed.key_shares) == fields.key_shares
    assert [(e.type, e.data) for e in parsed.extensions] == fields.extensions()


@given(hellos, st.data())
def test_a_hello_cut_anywhere_or_with_trailing_bytes_is_refused(
    fields: HelloFields, data: st.DataObject
) -> None:
    body = fields.body()
    cut = data.draw(st.integers(0, len(body) - 1))
    # Without extensions the field may be missing: exactly there a cut leaves a whole hello.
    whole_without = len(HelloFields(**{**vars(fields), **NOTHING}).body())
    if cut != whole_without:
        with pytest.raises(MalformedTLS) as caught:
            ClientHello.parse(body[:cut])
        assert 0 <= caught.value.offset <= cut
    if fields.extensions():
        with pytest.raises(MalformedTLS):
            ClientHello.parse(body + b"x")


NOTHING = {
    "server_name": None,
    "alpn": (),
    "supported_versions": (),
    "groups": (),
    "signature_algorithms": (),
    "key_shares": (),
    "unknown": (),
}


@given(hellos, st.data())
def test_a_damaged_hello_parses_or_is_refused_but_nothing_else(
    fields: HelloFields, data: st.DataObject
) -> None:
    body = bytearray(fields.body())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    def read_and_name(damaged: bytes) -> None:
        parsed = ClientHello.parse(damaged)
        assert len(ja3(parsed)) == 32
        assert len(ja4(parsed)) == 36

    assert 0 <= offset_of_error(read_and_name, bytes(body)) <= len(body)


@given(st.binary(max_size=200))
@pytest.mark.parametrize(
    "parse",
    [ClientHello.parse, ServerHello.parse, certificate_list, key_exchange_group, peek_client_hello],
)
def test_random_bytes_raise_only_the_declared_error(
    parse: Callable[[bytes], object], data: bytes
) -> None:
    assert 0 <= offset_of_error(parse, data) <= len(data)


@given(hellos, st.integers(1, 300), st.binary(max_size=10))
def test_peek_waits_for_the_last_byte_then_ignores_what_follows(
    fields: HelloFields, size: int, tail: bytes
) -> None:
    message = handshake(1, fields.body())
    wire = b"".join(record(22, message[i : i + size]) for i in range(0, len(message), size))
    for cut in (0, 1, 4, 5, 6, len(wire) // 2, len(wire) - 1):
        assert peek_client_hello(wire[:cut]) is None
    parsed = peek_client_hello(wire + tail)
    assert parsed is not None
    assert parsed == ClientHello.parse(fields.body())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x80\x2e\x01\x00\x02",  # SSL 2.0
        record(21, b"\x02\x28"),
        record(22, handshake(2, b"")),
        record(22, b"\x01\xff\xff\xff"),
    ],
)
def test_peek_refuses_what_cannot_become_a_client_hello(data: bytes) -> None:
    with pytest.raises(MalformedTLS):
        peek_client_hello(data)


def test_peek_gives_up_at_its_limit_and_not_before() -> None:
    drip = b"".join(record(22, b"\1") for _ in range(MAX_PEEK))  # says 65,793 bytes, one by one
    assert peek_client_hello(drip[: MAX_PEEK - 1]) is None
    with pytest.raises(MalformedTLS) as caught:
        peek_client_hello(drip[:MAX_PEEK])
    assert caught.value.offset == MAX_PEEK


def test_an_extension_must_not_come_twice() -> None:
    fields = HelloFields(unknown=((0x4444, b"a"), (0x4444, b"b")))
    with pytest.raises(MalformedTLS):
        ClientHello.parse(fields.body())


@pytest.mark.parametrize(
    ("name", "good"),
    [("a" * 255, True), ("a" * 256, False), ("", False), ("bücher.test", False)],
)
def test_the_server_name_is_a_bounded_ascii_name(name: str, good: bool) -> None:
    body = HelloFields(server_name=name).body()
    if good:
        assert ClientHello.parse(body).server_name == name
    else:
        with pytest.raises(MalformedTLS):
            ClientHello.parse(body)


def server_hello(random: bytes, extensions: list[tuple[int, bytes]]) -> bytes:
    block = b"".join(u16s((kind,)) + vector(2, data) for kind, data in extensions)
    head = u16s((0x0303,)) + random + vector(1, b"") + u16s((0x1301,)) + b"\0"
    return head + vector(2, block)


@given(st.binary(min_size=32, max_size=32), u16, u16, st.binary(max_size=40))
def test_a_server_hello_comes_back_as_built(
    random: bytes, version: int, group: int, key: bytes
) -> None:
    share = u16s((group,)) + vector(2, key)
    parsed = ServerHello.parse(
        server_hello(random, [(43, u16s((version,))), (51, share), (41, b"\0\1")])
    )
    assert (parsed.selected_version, parsed.selected_group) == (version, group)
    assert (parsed.cipher_suite, parsed.selected_psk) == (0x1301, 1)
    assert not parsed.is_hello_retry_request


def test_a_hello_retry_request_names_a_group_without_a_key() -> None:
    extensions = [(43, b"\x03\x04"), (51, b"\x11\xec")]
    parsed = ServerHello.parse(server_hello(HELLO_RETRY_REQUEST_RANDOM, extensions))
    assert parsed.is_hello_retry_request
    assert parsed.selected_group is not None
    assert group_name(parsed.selected_group) == "X25519MLKEM768"
    with pytest.raises(MalformedTLS):  # in an ordinary ServerHello a key must follow
        ServerHello.parse(server_hello(bytes(32), extensions))


@given(st.lists(st.binary(max_size=50), max_size=4))
def test_certificates_come_back_as_built(certificates: list[bytes]) -> None:
    body = vector(3, b"".join(vector(3, der) for der in certificates))
    assert certificate_list(body) == tuple(certificates)
    with pytest.raises(MalformedTLS):
        certificate_list(body + b"x")


def test_grease_is_the_sixteen_values_of_rfc_8701_and_has_no_name() -> None:
    reserved = [value for value in range(0x10000) if is_grease(value)]
    assert reserved == [0x0A0A + 0x1010 * i for i in range(16)]
    assert without_grease((0x2A2A, 0x1301, 0x2A1A)) == (0x1301, 0x2A1A)
    assert cipher_suite_name(0xFAFA) == "GREASE 0xfafa"
    assert (cipher_suite_name(0x1302), cipher_suite_name(0xABCD)) == (
        "TLS_AES_256_GCM_SHA384",
        "0xabcd",
    )
    assert version_name(0x0304) == "TLS 1.3"


def test_ja4_is_the_published_example() -> None:
    """FoxIO's own example of JA4, rebuilt from the raw fingerprint (JA4_r) that they print."""
    suites = "002f 0035 009c 009d 1301 1302 1303 c013 c014 c02b c02c c02f c030 cca8 cca9"
    types = "001b 0000 0033 0010 4469 0017 002d 000d 0005 0023 0012 002b ff01 000b 000a 0015"
    algorithms = "0403 0804 0401 0503 0805 0501 0806 0601"

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(word, 16) for word in text.split())

    known = HelloFields(
        server_name="a.test",
        alpn=("h2", "http/1.1"),
        supported_versions=(0x5A5A, 0x0304, 0x0303),
        groups=(0x2A2A, 0x001D),
        signature_algorithms=numbers(algorithms),
        key_shares=((0x001D, b"k"),),
    )
    have = {kind for kind, _ in known.extensions()}
    rest = [(kind, b"") for kind in numbers(types) if kind not in have and kind != 11]
    known.unknown = ((0x1A1A, b""), (11, b"\1\0"), *rest)
    known.cipher_suites = (0x3A3A, *numbers(suites))
    assert ja4(ClientHello.parse(known.body())) == "t13d1516h2_8daaf6152771_e5627efa2ab1"


@pytest.mark.parametrize(
    ("alpn", "letters"),
    [((), "00"), (("h2",), "h2"), (("http/1.1",), "h1"), (("\xab",), "ab"), (("0\xab",), "3b")],
)
def test_ja4_letters_of_the_first_protocol(alpn: tuple[str, ...], letters: str) -> None:
    assert ja4(ClientHello.parse(HelloFields(alpn=alpn).body()))[8:10] == letters


@pytest.mark.parametrize(
    ("extension", "resumes", "early", "ech"),
    [
        ((35, b""), False, False, False),  # willing to take a ticket, but has none
        ((35, b"ticket"), True, False, False),
        ((41, b"identities"), True, False, False),
        ((42, b""), False, True, False),
        ((0xFE0D, b"x"), False, False, True),
    ],
)
def test_what_else_a_hello_gives_away(
    extension: tuple[int, bytes], resumes: bool, early: bool, ech: bool
) -> None:
    parsed = ClientHello.parse(HelloFields(session_id=bytes(32), unknown=(extension,)).body())
    assert parsed.offers_resumption == resumes
    assert parsed.offers_early_data == early
    assert parsed.encrypted_client_hello == ech


def test_only_a_named_curve_has_a_group() -> None:
    assert key_exchange_group(b"\x03\x00\x1d rest") == 0x1D
    assert key_exchange_group(b"\x01 explicit prime") is None
