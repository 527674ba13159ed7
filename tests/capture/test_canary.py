"""Canaries are found in every encoding and layer, where they are; and only if they are there."""

from __future__ import annotations

import base64
import gzip
import string
import struct
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Ping, TextMessage
from wsproto.extensions import PerMessageDeflate

from tlslab.capture import (
    Canary,
    parse_capture,
    read_capture,
    search,
    search_capture,
    search_file,
    write_pcapng,
)
from tlslab.capture import canary as canary_module
from tlslab.capture.encodings import MAX_TOKEN, MIN_TOKEN
from tlslab.capture.layers import MAX_OUTPUT
from tlslab.errors import CaptureError, UsageError
from tlslab.net import Chunk, Direction, Flow
from tlslab.tls import Version

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT
CANARY = Canary("card number", b"canary-card-number-7qk2zx5m3jd4w6tpa8fh")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"

FlowMaker = Callable[..., Flow]
Talk = Callable[..., list[Chunk]]


def percent(token: bytes, every: int = 1) -> bytes:
    return b"".join(
        b"%%%02x" % byte if i % every == 0 else bytes([byte]) for i, byte in enumerate(token)
    )


def chunked(data: bytes, size: int) -> bytes:
    parts = (data[i : i + size] for i in range(0, len(data), size))
    return b"".join(b"%x;a=b\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


# name -> (the encoding that a hit tells, how the token is encoded)
PLAIN_ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("plain", bytes),
    "hex, lower case": ("hex", lambda token: token.hex().encode()),
    "hex, upper case": ("hex", lambda token: token.hex().upper().encode()),
    "all of it in percent": ("url", percent),
    "some of it in percent": ("url", lambda token: percent(token, 7)),
    "percent in upper case": ("url", lambda token: percent(token).upper().replace(b"%2D", b"%2d")),
    "utf-16-le": ("utf-16-le", lambda token: token.decode().encode("utf-16-le")),
    "utf-16-be": ("utf-16-be", lambda token: token.decode().encode("utf-16-be")),
}
COMPRESSED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", lambda token: gzip.compress(b"before " + token + b" after")),
    "zlib, fast": ("deflate", lambda token: zlib.compress(token, 1)),
    "zlib, usual": ("deflate", zlib.compress),
    "zlib, best": ("deflate", lambda token: zlib.compress(token * 3, 9)),
    "stored": ("gzip", lambda token: gzip.compress(token, 0)),
    "gzip in gzip": ("gzip, gzip", lambda token: gzip.compress(gzip.compress(token))),
    "hex in gzip": ("gzip, hex", lambda token: gzip.compress(token.hex().encode())),
}


@given(st.binary(max_size=200), st.binary(max_size=200))
@pytest.mark.parametrize("name", PLAIN_ENCODINGS | COMPRESSED)
def test_it_is_found_in_each_encoding_at_the_right_offset(
    name: str, before: bytes, after: bytes
) -> None:
    encoding, encode = (PLAIN_ENCODINGS | COMPRESSED)[name]
    encoded = encode(CANARY.token)
    hits = search(before + encoded + after, [CANARY])
    assert (encoding, len(before), len(encoded)) in {(h.encoding, h.offset, h.length) for h in hits}


@given(st.binary(max_size=100), st.binary(max_size=100), st.binary(max_size=20), st.booleans())
def test_base64_is_found_in_every_alignment(
    before: bytes, after: bytes, outside: bytes, urlsafe: bool
) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    data = outside + encode(before + CANARY.token + after)
    (hit,) = search(data, [CANARY])
    assert hit.encoding == "base64"
    # The first character that holds a bit of the token, up to the last such one.
    assert hit.offset == len(outside) + 8 * len(before) // 6
    end = -(-8 * (len(before) + len(CANARY.token)) // 6)
    assert hit.offset + hit.length == len(outside) + end


@given(
    st.text(string.printable.strip() + string.punctuation, min_size=MIN_TOKEN, max_size=60),
    st.binary(max_size=60),
    st.binary(max_size=60),
    st.booleans(),
)
def test_any_text_is_found_in_base64_also_with_the_alphabet_of_urls(
    text: str, before: bytes, after: bytes, urlsafe: bool
) -> None:
    canary = Canary("any", text.encode())
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    hits = search(encode(before + canary.token + after), [canary])
    assert 8 * len(before) // 6 in [hit.offset for hit in hits if "base64" in hit.encoding]


def aligned(number: int) -> Callable[[bytes], bytes]:
    return lambda token: base64.b64encode(bytes(number) + token + b"x")


ALL = PLAIN_ENCODINGS | COMPRESSED
ALL |= {f"base64, alignment {number}": ("base64", aligned(number)) for number in range(3)}


@pytest.mark.parametrize("name", ALL)
def test_one_changed_byte_is_another_text(name: str) -> None:
    encode = ALL[name][1]
    token = CANARY.token
    for at in range(len(token)):
        for flip in (1, 4, 0x80):
            other = bytes([*token[:at], token[at] ^ flip, *token[at + 1 :]])
            if flip == 0x80 and "utf" in name:
                continue
            assert search(b"some " + encode(other) + b" data", [CANARY]) == []
    assert search(b"some " + encode(token) + b" data", [CANARY]) != []


@given(st.integers(1, 60), st.binary(max_size=50))
def test_a_token_split_by_chunks_is_found_where_it_starts(size: int, before: bytes) -> None:
    body = before + CANARY.token + b" and more"
    data = CHUNKED + chunked(body, size)
    (hit,) = search(data, [CANARY])
    split = len(before) // size != (len(before) + len(CANARY.token) - 1) // size
    assert hit.encoding == ("chunked" if split else "plain")
    assert data[hit.offset] == CANARY.token[0]
    end = data[hit.offset + hit.length - 1 :]
    assert end[0] == CANARY.token[-1]


def test_a_compressed_body_in_chunks_is_unpacked() -> None:
    for encode, name in (
        (gzip.compress, "gzip"),
        (zlib.compress, "deflate"),
        (raw_deflate, "deflate"),
    ):
        body = encode(b"some text " + CANARY.token)
        (hit,) = search(CHUNKED + chunked(body, 7), [CANARY])
        assert hit.encoding == f"chunked, {name}"
        assert hit.offset == len(CHUNKED) + len(b"7;a=b\r\n")


@given(st.binary(max_size=300), st.binary(min_size=100, max_size=300))
@pytest.mark.parametrize(("width", "newline"), [(64, b"\n"), (76, b"\r\n")])
def test_base64_in_lines_is_found_where_it_starts(
    width: int, newline: bytes, before: bytes, after: bytes
) -> None:
    text = base64.b64encode(before + CANARY.token + after)
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    (hit,) = search(b"mail:\n\n" + newline.join(lines) + b"\n", [CANARY])
    start = 8 * len(before) // 6
    assert hit.offset == 7 + start + start // width * len(newline)
    assert hit.encoding in ("base64", "folded, base64")


def test_raw_deflate_is_unpacked_where_a_head_announces_it() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 99\r\n\r\n"
    body = raw_deflate(CANARY.token)
    (hit,) = search(head + body, [CANARY])
    assert (hit.encoding, hit.offset, hit.length) == ("deflate", len(head), len(body))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("side", ConnectionType)
def test_messages_of_a_real_websocket_are_unmasked(side: ConnectionType, compress: bool) -> None:
    extensions = [PerMessageDeflate()] if compress else []
    for extension in extensions:
        extension.finalize("permessage-deflate")
    peer = Connection(side, extensions)  # type: ignore[arg-type]
    start, end = CANARY.token[:9].decode(), CANARY.token[9:].decode()
    wire = peer.send(TextMessage(data="first message"))
    wire += peer.send(TextMessage(data=f"secret: {start}", message_finished=False))
    wire += peer.send(Ping(payload=b"ping"))
    wire += peer.send(TextMessage(data=end))
    wire += peer.send(BytesMessage(data=bytes(70000)))  # a length of 64 bits
    wire += peer.send(BytesMessage(data=CANARY.token[:20]))
    wire += peer.send(BytesMessage(data=CANARY.token[20:]))  # two messages: not the token
    wire += peer.send(TextMessage(data=f"again {CANARY.text}"))
    hits = search(UPGRADE + wire, [CANARY])
    name = "websocket, deflate" if compress else "websocket"
    kinds = [hit.encoding for hit in hits]
    if side is ConnectionType.SERVER and not compress:
        assert kinds == ["websocket", "plain"]  # servers do not mask
    else:
        assert kinds == [name, name]


async def test_encrypted_it_is_not_found_and_in_plain_it_is(
    record_tls: Callable[..., Awaitable[Any]],
    tmp_path: Path,
    flow: FlowMaker,
    talk: Talk,
) -> None:
    request = b"POST / HTTP/1.1\r\nHost: shop.test\r\n\r\n" + CANARY.token
    for version in Version:
        recorded = await record_tls(version, request=request)
        write_pcapng(tmp_path / "tls", recorded.chunks, secrets=recorded.key_log)
        assert search_capture(read_capture(tmp_path / "tls"), [CANARY]) == []
    write_pcapng(tmp_path / "plain", talk(flow(), (TO_SERVER, request)))
    (hit,) = search_capture(read_capture(tmp_path / "plain"), [CANARY])
    assert (hit.packet, hit.offset, hit.direction) == (
        4,
        len(request) - len(CANARY.token),
        TO_SERVER,
    )


@pytest.mark.parametrize("cut", [1, 20, len(CANARY.token) - 1])
def test_across_a_packet_boundary_it_is_found_where_tshark_sees_it(
    cut: int, tmp_path: Path, flow: FlowMaker, talk: Talk, tshark: Callable[..., list[str]]
) -> None:
    file = tmp_path / "split.pcapng"
    data = b"." * (2 * 1460 - cut) + CANARY.token + b"."
    write_pcapng(file, talk(flow(), (TO_CLIENT, data)))
    (hit,) = search_capture(read_capture(file), [CANARY])
    assert (hit.offset, hit.stream_offset, hit.encoding) == (1460 - cut, 2 * 1460 - cut, "plain")
    shown = ["-T", "fields", "-e", "tcp.payload"]
    (payload,) = tshark(file, "-Y", f"frame.number == {hit.packet}", *shown)
    assert bytes.fromhex(payload)[hit.offset :] == CANARY.token[:cut]


def test_it_is_found_in_packets_that_belong_to_no_flow() -> None:
    frames = [b"\x45" + bytes(30) + word for word in (b"nothing", CANARY.token, b"x")]
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(
        struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in frames
    )
    (hit,) = search_capture(parse_capture(data), [CANARY])
    assert (hit.packet, hit.offset, hit.flow) == (2, 31, None)


def test_a_missing_packet_breaks_it_and_is_not_guessed(
    tmp_path: Path, flow: FlowMaker, talk: Talk
) -> None:
    file = tmp_path / "gap.pcapng"
    start, gap, end = CANARY.token[:10], b"*" * 8, CANARY.token[10:]
    chunks = talk(flow(), *((TO_SERVER, part) for part in (start, gap, end)))
    write_pcapng(file, chunks)
    whole = file.read_bytes()
    packet = whole.index(gap) - 54 - 28
    size = int.from_bytes(whole[packet + 4 : packet + 8], "little")
    capture = parse_capture(whole[:packet] + whole[packet + size :])
    assert capture.flows[0].to_server.gaps == ((10, 8),)
    assert search_capture(capture, [CANARY]) == []


@pytest.mark.parametrize("size", [1, 50, 4096])
def test_files_are_searched_in_windows_without_losing_anything(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary_module, "WINDOW", 256)
    monkeypatch.setattr(canary_module, "OVERLAP", 64)
    file = tmp_path / "file"
    notes: list[str] = []
    for start in range(150, 300, 7):
        file.write_bytes(bytes(start) + CANARY.token + bytes(size))
        (hit,) = search_file(file, [CANARY], notes=notes)
        assert (hit.offset, hit.encoding) == (start, "plain")
    assert len(notes) == 1
    file.write_bytes(b"")
    assert search_file(file, [CANARY]) == []
    with pytest.raises(CaptureError):
        search_file(tmp_path / "none", [CANARY])


def test_a_bomb_costs_little_and_is_told() -> None:
    zeros = zlib.compressobj(9, wbits=31)
    bomb = b"".join(zeros.compress(bytes(2**20)) for _ in range(80))
    bomb += zeros.compress(CANARY.token) + zeros.flush()
    assert len(bomb) < MAX_OUTPUT / 500
    notes: list[str] = []
    started = time.process_time()
    assert search(bomb * 20, [CANARY], notes=notes) == []
    assert time.process_time() - started < 10
    assert len(notes) == 1
    notes.clear()
    assert search(gzip.compress(bytes(2**20) + CANARY.token), [CANARY], notes=notes) != []
    assert notes == []


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x1f\x8b\x08",  # headers whose name never ends
        b"\x78\x9c",
        b"\ntransfer-encoding: chunked\r\n\r\nffffff\r\n",
        b"\nupgrade: websocket\r\n\r\n\x81\x01a",
        b"%63anary-",
        b"A" * 64 + b"\n",
        b"canary-card-number-",
    ],
)
def test_bytes_made_to_waste_time_waste_little(hostile: bytes) -> None:
    started = time.process_time()
    assert search(hostile * (2**20 // len(hostile)), [CANARY]) == []
    assert time.process_time() - started < 5


@pytest.mark.parametrize(("size", "found"), [(60_000, True), (200_000, False)])
def test_a_gzip_header_may_be_long_but_not_endless(size: int, found: bool) -> None:
    body = gzip.compress(CANARY.token)
    named = body[:3] + b"\x08" + body[4:10] + b"n" * size + b"\0" + body[10:]
    assert bool(search(named, [CANARY])) == found


def test_a_damaged_stream_shows_what_comes_before_the_damage() -> None:
    for position in (10, 3000):
        filler = bytes(i * i % 251 for i in range(position))
        data = bytearray(gzip.compress(filler + CANARY.token + bytes(range(256)) * 50))
        data[-300:] = b"\xff" * 300
        assert [hit.encoding for hit in search(bytes(data), [CANARY])] == ["gzip"]


@given(st.binary(max_size=400), st.binary(max_size=200))
def test_arbitrary_bytes_never_break_the_search(data: bytes, more: bytes) -> None:
    assume(CANARY.token not in data)
    for head in (CHUNKED, UPGRADE, b"\x1f\x8b\x08", b"\x78\x9c"):
        assert search(data + head + more, [CANARY]) == []


def test_many_hits_are_cut_off_and_told() -> None:
    notes: list[str] = []
    hits = search(CANARY.token * 2000, [CANARY], notes=notes)
    assert len(hits) == 1000
    assert len(notes) == 1


def test_fresh_ones_are_unique_printable_and_random_enough() -> None:
    made = [Canary.fresh("Card Number №1 / é") for _ in range(200)]
    assert len({canary.token for canary in made}) == 200
    for canary in made:
        prefix, _, noise = canary.text.rpartition("-")
        assert prefix == "canary-card-number-1"
        assert len(noise) * 5 >= 96
        assert set(noise) <= set("abcdefghijklmnopqrstuvwxyz234567")
    columns = zip(*(canary.text.rpartition("-")[2] for canary in made), strict=True)
    assert all(len(set(column)) > 20 for column in columns)  # no character is constant
    assert search(made[0].token, made[1:]) == []
    assert "-" in Canary.fresh("").text


def test_what_is_too_short_would_be_found_by_chance() -> None:
    for size in (MIN_TOKEN - 1, MAX_TOKEN + 1):
        with pytest.raises(UsageError):
            Canary("bad", b"x" * size)
    for size in (MIN_TOKEN, MAX_TOKEN):
        assert search(b"x" * size, [Canary("good", b"x" * size)]) != []


def test_two_canaries_in_one_text_are_told_apart() -> None:
    other = Canary("other", b"something else")
    hits = search(b"%s %s" % (CANARY.token, other.token), [CANARY, other])
    assert [hit.canary.label for hit in hits] == ["card number", "other"]
    assert search(CANARY.token, []) == []
