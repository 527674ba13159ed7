"""What an eavesdropper learns, measured on real connections; and how much of it is readable."""

from __future__ import annotations

import contextlib
import io
import os
import random
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.capture import FlowFacts, facts, parse_capture, read_capture, write_pcapng
from tlslab.capture.facts import readable_bytes
from tlslab.capture.http_heads import MAX_MESSAGES, http_heads
from tlslab.capture.proxy_header import proxy_header
from tlslab.net import Chunk, Direction, Endpoint, Flow, Kind
from tlslab.net.forwarded import SIGNATURE, Forwarded, announce
from tlslab.pki import Authority
from tlslab.tls import Version

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT

FlowMaker = Callable[..., Flow]
Talk = Callable[..., list[Chunk]]
Learn = Callable[..., FlowFacts]


@pytest.fixture
def learn(tmp_path: Path, flow: FlowMaker, talk: Talk) -> Learn:
    """Facts of a conversation, after it went through a file."""

    def run(*said: tuple[Direction, bytes]) -> FlowFacts:
        file = tmp_path / "learn.pcapng"
        write_pcapng(file, talk(flow(), *said))
        return facts(read_capture(file).flows[0])

    return run


async def recorded_facts(
    record_tls: Callable[..., Awaitable[Any]], tmp_path: Path, version: Version, **options: Any
) -> FlowFacts:
    recorded = await record_tls(version, **options)
    write_pcapng(tmp_path / "tls.pcapng", recorded.chunks)
    return facts(read_capture(tmp_path / "tls.pcapng").flows[0])


async def test_tls12_shows_the_certificate_and_tls13_hides_it_both_show_the_name(
    record_tls: Callable[..., Awaitable[Any]], tmp_path: Path
) -> None:
    old = await recorded_facts(record_tls, tmp_path, Version.TLS_1_2)
    new = await recorded_facts(record_tls, tmp_path, Version.TLS_1_3)
    assert old.tls is not None
    assert new.tls is not None
    assert (old.tls.version, new.tls.version) == ("TLS 1.2", "TLS 1.3")
    assert old.tls.server_name == new.tls.server_name == "shop.test"
    assert old.tls.alpn_offered == new.tls.alpn_offered == ("http/1.1",)
    assert (old.tls.alpn, new.tls.alpn) == ("http/1.1", None)
    assert old.tls.certificate_visible
    assert old.tls.certificate is not None
    assert old.tls.certificate.names == ("shop.test", "www.shop.test")
    assert not new.tls.certificate_visible
    assert new.tls.certificate is None
    assert (old.tls.resumed, new.tls.resumed) == (False, False)
    assert new.tls.group == "X25519MLKEM768"
    assert old.tls.group == "x25519"
    assert old.learned["certificate"] == "shop.test, www.shop.test"
    assert "certificate" not in new.learned


async def test_sizes_of_application_data_are_visible_and_its_bytes_are_not(
    record_tls: Callable[..., Awaitable[Any]], tmp_path: Path
) -> None:
    response = b"HTTP/1.1 200 OK\r\n\r\n" + b"text to read " * 50_000
    seen = await recorded_facts(record_tls, tmp_path, Version.TLS_1_3, response=response)
    assert seen.tls is not None
    assert len(response) < seen.tls.encrypted_to_client < len(response) * 1.02 + 4000
    assert 0 < seen.tls.encrypted_to_server < 1000
    assert seen.readable_share < 0.01
    assert seen.to_client.entropy > 7.9


def test_plain_http_shows_everything(learn: Learn) -> None:
    request = b"POST /login?user=a HTTP/1.1\r\nHost: shop.test\r\n"
    request += b"Content-Length: 6\r\nCookie: a\r\n\r\nsecret"
    seen = learn(
        (TO_SERVER, request + b"GET /next HTTP/1.1\r\nHost: shop.test\r\nAuthorization: b\r\n\r\n"),
        (TO_CLIENT, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        (TO_CLIENT, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"),
        (TO_CLIENT, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    )
    assert seen.protocol == "HTTP"
    assert [head.start_line for head in seen.requests] == [
        "POST /login?user=a HTTP/1.1",
        "GET /next HTTP/1.1",
    ]
    assert [head.status for head in seen.responses] == [200, 304, 404]
    assert seen.learned["http_host"] == "shop.test"
    assert seen.learned["http_credentials"] == "authorization, cookie"
    assert seen.readable_share == 1.0


@pytest.mark.parametrize(
    ("said", "protocol"),
    [
        ([], "empty"),
        ([(TO_SERVER, b"EHLO a\r\n")], "unknown"),
        ([(TO_CLIENT, b"HTTP/1.1 400 Bad\r\n\r\n")], "HTTP"),
        ([(TO_SERVER, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")], "HTTP"),
        (
            [
                (TO_SERVER, b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
                (TO_CLIENT, b"HTTP/1.1 101 Yes\r\nUpgrade: WebSocket\r\n\r\n\x81\x02hi"),
            ],
            "WebSocket",
        ),
        ([(TO_SERVER, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")], "TLS"),
        ([(TO_CLIENT, b"\x15\x03\x03\x00\x02\x02\x28")], "TLS"),
        ([(TO_SERVER, b"\x16\x02")], "unknown"),
    ],
)
def test_protocols_are_told_by_their_bytes(
    said: list[tuple[Direction, bytes]], protocol: str, learn: Learn
) -> None:
    assert learn(*said).protocol == protocol


def test_an_alert_in_plain_is_read(learn: Learn) -> None:
    seen = learn(
        (TO_SERVER, b"\x16\x03\x01\x00\x01\x01"), (TO_CLIENT, b"\x15\x03\x03\x00\x02\x02\x28")
    )
    assert seen.tls is not None
    (alert,) = seen.tls.alerts
    assert (alert.number, alert.fatal, alert.direction) == (40, True, TO_CLIENT)
    assert seen.learned["alerts"] == "40"


def handshake(
    certificate: Path, version: ssl.TLSVersion, session: ssl.SSLSession | None, curve: str | None
) -> tuple[list[tuple[Direction, bytes]], ssl.SSLSession | None]:
    """A handshake between two ends of the standard library, and the session that it gave."""
    if version not in _CONTEXTS:
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(certificate)
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.check_hostname = False
        client_context.verify_mode = ssl.CERT_NONE
        client_context.maximum_version = version
        _CONTEXTS[version] = client_context, server_context
    client_context, server_context = _CONTEXTS[version]
    if curve is not None:
        server_context.set_ecdh_curve(curve)
    ends = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    client = client_context.wrap_bio(*ends[0], session=session)
    server = server_context.wrap_bio(*ends[1], server_side=True)
    said: list[tuple[Direction, bytes]] = []
    steps: list[Callable[[], object]] = [
        client.do_handshake,
        server.do_handshake,
        lambda: server.write(b"x"),
        lambda: client.read(1),
    ]
    for _ in range(3):
        for step in steps:
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLSyscallError):
                step()
            for way, (mine, theirs) in zip(Direction, (ends, ends[::-1]), strict=True):
                if data := mine[1].read():
                    said.append((way, data))
                    theirs[0].write(data)
    return said, client.session


_CONTEXTS: dict[ssl.TLSVersion, tuple[ssl.SSLContext, ssl.SSLContext]] = {}


@pytest.fixture
def certificate_file(tmp_path: Path) -> Path:
    credential = Authority.create("tests/capture").issue("shop.test")
    path = tmp_path / "certificate.pem"
    path.write_bytes(credential.chain_pem + credential.key_pem)
    return path


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_is_told_from_a_full_handshake(
    version: ssl.TLSVersion, certificate_file: Path, learn: Learn
) -> None:
    first, session = handshake(certificate_file, version, None, None)
    second, _ = handshake(certificate_file, version, session, None)
    _CONTEXTS.clear()
    full, resumed = learn(*first), learn(*second)
    assert full.tls is not None
    assert resumed.tls is not None
    assert (full.tls.resumed, resumed.tls.resumed) == (False, True)
    assert full.tls.certificate_visible == (version is ssl.TLSVersion.TLSv1_2)
    assert not resumed.tls.certificate_visible


def test_a_retried_handshake_is_told(certificate_file: Path, learn: Learn) -> None:
    said, _ = handshake(certificate_file, ssl.TLSVersion.TLSv1_3, None, "secp521r1")
    _CONTEXTS.clear()
    seen = learn(*said).tls
    assert seen is not None
    assert seen.retried
    assert (seen.version, seen.group, seen.resumed) == ("TLS 1.3", "secp521r1", False)


@given(st.data())
def test_a_damaged_handshake_still_gives_facts(data: st.DataObject) -> None:
    flow = Flow(1, "leg", Endpoint("c", "10.0.0.1", 40000), Endpoint("s", "10.0.0.2", 443))
    chunks = [Chunk(0, flow, TO_SERVER, kind=Kind.OPENED)]
    for way, message in SEED:
        damaged = bytearray(message)
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        chunks.append(Chunk(0, flow, way, bytes(damaged)))
    target = io.BytesIO()
    write_pcapng(target, chunks)
    (record,) = parse_capture(target.getvalue()).flows
    assert facts(record).protocol in ("TLS", "unknown")


SEED: list[tuple[Direction, bytes]] = []


@pytest.fixture(autouse=True, scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("seed") / "certificate.pem"
    credential = Authority.create("tests/capture").issue("shop.test")
    path.write_bytes(credential.chain_pem + credential.key_pem)
    SEED[:] = handshake(path, ssl.TLSVersion.TLSv1_2, None, None)[0]
    _CONTEXTS.clear()


@pytest.mark.parametrize(
    ("data", "share"),
    [
        (b"plain English text, with a few lines\r\n" * 40, 1.0),
        ("grüße, 你好, здравствуйте: ".encode() * 40, 1.0),
        (os.urandom(4096), 0.0),
        (bytes(4096), 0.0),
        (b"", 0.0),
        (b"short", 1.0),
        (b"short\0", 0.0),
        (b"text " * 256 + os.urandom(1280), 0.5),
    ],
)
def test_readable_bytes_are_those_of_blocks_of_text(data: bytes, share: float) -> None:
    assert readable_bytes(data) == round(share * len(data))


@pytest.mark.parametrize("size", [16, 63, 64, 256])
def test_random_bytes_are_hardly_ever_taken_for_text(size: int) -> None:
    generator = random.Random(size)
    wrong = sum(readable_bytes(generator.randbytes(size)) > 0 for _ in range(3000))
    assert wrong == 0


@given(st.binary(max_size=300))
def test_heads_of_arbitrary_bytes_break_nothing(data: bytes) -> None:
    for head in (
        b"",
        b"GET / HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        assert len(list(http_heads(head + data))) <= 10


def test_heads_are_bounded() -> None:
    assert len(list(http_heads(b"GET / HTTP/1.1\r\n\r\n" * 2000))) == MAX_MESSAGES


REQUEST = b"GET /cart HTTP/1.1\r\nHost: shop.test\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (announce(Forwarded("192.0.2.7", 51234, "TLSv1.3"), bytes(32), now=datetime.now(UTC)),
         "192.0.2.7 port 51234"),
        (announce(Forwarded("2001:db8::7", 1, None), bytes(32), now=datetime.now(UTC)),
         "2001:db8::7 port 1"),
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 51234 443\r\n", "192.0.2.7 port 51234"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", None),  # LOCAL: the proxy's own
        (b"", None),
    ],
)  # fmt: skip
def test_what_a_proxy_says_first_is_read_and_passed_over(
    learn: Learn, header: bytes, client: str | None
) -> None:
    learned = learn((TO_SERVER, header + REQUEST))
    assert learned.protocol == "HTTP"
    assert learned.requests[0].start_line == "GET /cart HTTP/1.1"
    assert learned.requests[0].offset == len(header)
    assert learned.learned.get("forwarded_for") == client


@given(st.sampled_from([b"PROXY ", SIGNATURE]), st.binary(max_size=60))
def test_no_proxy_header_is_beyond_reading(begin: bytes, rest: bytes) -> None:
    size, _ = proxy_header(begin + rest)
    assert 0 <= size <= len(begin + rest)
