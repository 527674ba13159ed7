"""The decoder of aws-chunked: whole, byte by byte, with things after the end; against encoders."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.iam.aws_chunked import (
    MAX_LINE_BYTES,
    MAX_TRAILER_BYTES,
    MIN_SIGNED_CHUNK,
    ChunkedDecoder,
)
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.sigv4 import ChunkChain, Scope

NAME = "x-amz-checksum-crc32"
SEED = ChunkChain(b"k" * 32, "20261120T123000Z", Scope("20261120", "eu-west-2", "s3"), "5" * 64)


def chain() -> ChunkChain:
    return ChunkChain(SEED.key, SEED.time, SEED.scope, SEED.signature)


def encode(
    chunks: Sequence[bytes], trailer: Sequence[tuple[str, str]] | None = None, *, signed: bool
) -> bytes:
    """The reference encoder: what SDKs send, `trailer` None for the mode without one."""
    signer, body = chain(), b""
    for chunk in [*chunks, b""]:
        mark = f";chunk-signature={signer.chunk(sha256(chunk).hexdigest())}" if signed else ""
        body += f"{len(chunk):x}{mark}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    for name, value in trailer or ():
        body += f"{name}:{value}\r\n".encode()
    if signed and trailer is not None:
        lines = "".join(f"{name}:{value}\n" for name, value in trailer)
        body += f"x-amz-trailer-signature:{signer.trailer(lines.encode())}\r\n".encode()
    return body + b"\r\n"


def decode(
    body: Iterable[bytes], length: int, announced: Sequence[str] = (NAME,), *,
    signed: bool = False, with_trailer: bool = True,
) -> tuple[bytes, dict[str, str]]:  # fmt: skip
    decoder = ChunkedDecoder(length, SEED if signed else None, announced, with_trailer=with_trailer)
    data = b"".join(piece for part in body for piece in decoder.feed(part))
    return data, dict(decoder.finish())


def cut(body: bytes, at: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(min(i, len(body)) for i in at)})
    return [body[a:b] for a, b in pairwise(edges)]


def code(body: Iterable[bytes], length: int, *announced: str, **mode: bool) -> str:
    with pytest.raises(SignatureError) as caught:
        decode(body, length, announced, **mode)
    return caught.value.code


modes = st.sampled_from([(False, True), (True, True), (True, False)])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, bytes, dict[str, bool], dict[str, str]]:
    """Payload, encoded, mode, trailer."""
    signed, with_trailer = draw(modes)
    least = MIN_SIGNED_CHUNK if signed else 1
    sizes = draw(st.lists(st.integers(least, least + 600), max_size=3))
    last = draw(st.integers(0, 300))
    chunks = [bytes([i]) * size for i, size in enumerate([*sizes, last]) if size]
    trailer = {NAME: "AAAAAA=="} if with_trailer else {}
    body = encode(chunks, list(trailer.items()) if with_trailer else None, signed=signed)
    return b"".join(chunks), body, {"signed": signed, "with_trailer": with_trailer}, trailer


@given(bodies(), st.lists(st.integers(0, 30000), max_size=8))
def test_decoding_what_was_encoded_gives_it_back_however_it_is_cut(
    encoded: tuple[bytes, bytes, dict[str, bool], dict[str, str]], at: list[int]
) -> None:
    payload, body, mode, trailer = encoded
    found = decode(cut(body, at), len(payload), tuple(trailer), **mode)
    assert found == (payload, trailer)


@given(bodies())
def test_byte_by_byte(encoded: tuple[bytes, bytes, dict[str, bool], dict[str, str]]) -> None:
    payload, body, mode, trailer = encoded
    start = max(0, len(body) - 1500)  # the bulk at once, or it takes too long
    parts = [body[:start], *(body[i : i + 1] for i in range(start, len(body)))]
    assert decode(parts, len(payload), tuple(trailer), **mode) == (payload, trailer)


@given(bodies(), st.data())
def test_a_body_cut_off_anywhere_is_incomplete(
    encoded: tuple[bytes, bytes, dict[str, bool], dict[str, str]], data: st.DataObject
) -> None:
    payload, body, mode, trailer = encoded
    end = data.draw(st.integers(0, len(body) - 1))
    assert code([body[:end]], len(payload), *trailer, **mode) == "IncompleteBody"


@given(bodies(), st.binary(min_size=1, max_size=9))
def test_anything_after_the_end_is_refused(
    encoded: tuple[bytes, bytes, dict[str, bool], dict[str, str]], more: bytes
) -> None:
    payload, body, mode, trailer = encoded
    assert code([body, more], len(payload), *trailer, **mode) == "IncompleteBody"
    assert code([body + more], len(payload), *trailer, **mode) == "IncompleteBody"


@given(bodies(), st.sampled_from([-1, 1]))
def test_the_decoded_length_must_be_met(
    encoded: tuple[bytes, bytes, dict[str, bool], dict[str, str]], error: int
) -> None:
    payload, body, mode, trailer = encoded
    wrong = len(payload) + error
    if wrong >= 0:
        assert code([body], wrong, *trailer, **mode) == "IncompleteBody"


@given(bodies(), st.data())
def test_no_byte_of_a_signed_body_can_be_changed(
    encoded: tuple[bytes, bytes, dict[str, bool], dict[str, str]], data: st.DataObject
) -> None:
    payload, body, mode, trailer = encoded
    if not mode["signed"]:
        return
    at = data.draw(st.integers(0, len(body) - 1))
    new = data.draw(st.integers(0, 255))
    changed = body[:at] + bytes([new]) + body[at + 1 :]
    try:
        found = decode([changed], len(payload), tuple(trailer), **mode)
    except SignatureError:
        return
    assert found == (payload, trailer)  # only the case of a name or a hex digit of a size


@given(st.binary(max_size=300), st.integers(0, 50), modes)
def test_any_bytes_are_answered(body: bytes, length: int, mode: tuple[bool, bool]) -> None:
    signed, with_trailer = mode
    try:
        data, _ = decode([body], length, (), signed=signed, with_trailer=with_trailer)
    except SignatureError:
        return
    assert len(data) == length


@pytest.mark.parametrize("size", [0, 1, 10, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_botocores_encoder_is_decoded(size: int) -> None:
    httpchecksum = pytest.importorskip("botocore.httpchecksum", reason="botocore is not installed")
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    wrapper = httpchecksum.AwsChunkedWrapper(io.BytesIO(payload), httpchecksum.Crc32Checksum, NAME)
    body = wrapper.read()
    parts = cut(body, range(0, len(body), 65536))
    data, trailer = decode(parts, size)
    assert data == payload
    checksum = httpchecksum.Crc32Checksum()
    checksum.update(payload)
    assert trailer == {NAME: checksum.b64digest()}


BIG = b"b" * MIN_SIGNED_CHUNK


def test_a_chunk_that_is_too_large_is_refused_before_its_data() -> None:
    assert ChunkedDecoder(10).feed(b"a\r\n0123456789") == [b"0123456789"]
    with pytest.raises(SignatureError):
        ChunkedDecoder(10).feed(b"b\r\n")


def test_chunks_cannot_be_dropped_swapped_or_repeated() -> None:
    one, two = b"1" * MIN_SIGNED_CHUNK, b"2" * MIN_SIGNED_CHUNK
    body = encode([one, two], signed=True)
    head = body.index(b"\r\n") + 2
    size = head + MIN_SIGNED_CHUNK + 2
    first, second, last = body[:size], body[size : 2 * size], body[2 * size :]
    mode = {"signed": True, "with_trailer": False}
    assert decode([first, second, last], 2 * len(one), (), **mode)[0] == one + two
    for forged in ([second, first, last], [first, first, last]):
        assert code(forged, 2 * len(one), **mode) == "SignatureDoesNotMatch"
    for forged in ([first, last], [second, last]):
        assert code(forged, len(one), **mode) == "SignatureDoesNotMatch"


def test_only_the_last_signed_chunk_may_be_small() -> None:
    mode = {"signed": True, "with_trailer": False}
    good = encode([BIG, b"x"], signed=True)
    assert decode([good], len(BIG) + 1, (), **mode)[0] == BIG + b"x"
    for chunks in ([b"x", BIG], [BIG[1:], b"x"], [b"x", b"x"]):
        body = encode(chunks, signed=True)
        assert code([body], sum(map(len, chunks)), **mode) == "InvalidChunkSizeError"
    small = encode([b"x", b"yz"], [], signed=False)  # without signatures they cost little
    assert decode([small], 3, ())[0] == b"xyz"


def test_a_trailer_is_signed() -> None:
    good = encode([b"x"], [(NAME, "AAAAAA==")], signed=True)
    assert decode([good], 1, signed=True)[1] == {NAME: "AAAAAA=="}
    changed = good.replace(b"AAAAAA==", b"BAAAAA==")
    assert code([changed], 1, NAME, signed=True) == "SignatureDoesNotMatch"
    unsigned = encode([b"x"], [(NAME, "AAAAAA==")], signed=False)
    assert decode([unsigned.replace(b"AAAAAA==", b"BAAAAA==")], 1)[1] == {NAME: "BAAAAA=="}


# Which code S3 answers: versity/versitygw issues 1600, 1626, 1660, 1666, 1691 and 1695.
UNSIGNED_FAULTS = [
    (b"A\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"A\r\ndummy data0\r\n\r\n", "IncompleteBody"),
    (b"A\r\nXYZ\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"B\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"9\r\ndummy dat\r\n0\r\n\r\n", "IncompleteBody"),
    (b"A\r\ndummy data\r\n0\r\n", "IncompleteBody"),
    (b"A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n", "IncompleteBody"),
    (b"A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\rX", "IncompleteBody"),
    (b"A\r\n", "IncompleteBody"),
    (b"", "IncompleteBody"),
    (b"invalid_chunk_size\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"+A\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"0xA\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"A;chunk-signature=" + b"0" * 64 + b"\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"A;ext=1\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"00000000000000000A\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"A\r\ndummy data\r\n0\r\n\r\n", "IncompleteBody"),
    (b"A\r\ndummy data\r\n0\r\n:AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    (b"A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32 AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    (b"A\r\ndummy data\r\n0\r\ninvalid_trailer:AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    (b"A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:A\r\nx-amz-checksum-crc32:A\r\n\r\n",
     "MalformedTrailerError"),
    (b"A\r\ndummy data\r\n0\r\nx-amz-trailer-signature:" + b"0" * 64 + b"\r\n\r\n",
     "MalformedTrailerError"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), UNSIGNED_FAULTS)
def test_faults_of_unsigned_chunks(body: bytes, expected: str) -> None:
    assert decode([b"A\r\ndummy data\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"], 10)
    assert code([body], 10, NAME) == expected


def test_a_trailer_is_only_what_was_announced() -> None:
    body = b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    assert decode([body], 1)[1] == {NAME: "AAAAAA=="}
    assert code([body], 1) == "MalformedTrailerError"
    assert decode([b"1\r\nx\r\n0\r\n\r\n"], 1, ()) == (b"x", {})


def test_a_signed_trailer_that_is_missing_is_an_incomplete_body() -> None:
    body = encode([b"x"], signed=True)
    assert decode([body], 1, (), signed=True, with_trailer=False)[0] == b"x"
    assert code([body], 1, signed=True) == "IncompleteBody"
    assert code([body], 1, NAME, signed=True) == "IncompleteBody"


def test_chunks_without_signatures_where_they_must_be_signed() -> None:
    body = encode([b"x"], signed=False)
    assert decode([body], 1, ())[0] == b"x"
    assert code([body], 1, signed=True, with_trailer=False) == "IncompleteBody"


def test_a_line_is_bounded() -> None:
    name = "x" * 100
    room = MAX_LINE_BYTES - len(name) - 3
    body = b"0\r\n" + f"{name}:{'v' * room}\r\n\r\n".encode()
    assert decode([body], 0, (name,))[1] == {name: "v" * room}
    longer = body.replace(b"\r\n\r\n", b"v\r\n\r\n")
    assert code([longer], 0, name) == "IncompleteBody"
    assert code([b"0" * (MAX_LINE_BYTES + 1)], 0) == "IncompleteBody"
    endless = ChunkedDecoder(10)
    for _ in range(MAX_LINE_BYTES):
        assert endless.feed(b"1") == []
    with pytest.raises(SignatureError):
        endless.feed(b"1")


def test_a_trailer_is_bounded() -> None:
    names = [f"name-{i}" for i in range(6)]
    each = MAX_TRAILER_BYTES // 5 - 8

    def body(count: int) -> bytes:
        lines = "".join(f"{name}:{'v' * each}\r\n" for name in names[:count])
        return b"0\r\n" + lines.encode() + b"\r\n"

    assert len(decode([body(5)], 0, names[:5])[1]) == 5
    assert code([body(6)], 0, *names) == "MalformedTrailerError"


def test_values_may_end_with_a_line_feed_as_some_clients_send_them() -> None:
    """minio-go ends a field with LF and then CRLF."""
    body = b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\n\r\n\r\n"
    assert decode([body], 1)[1] == {NAME: "AAAAAA=="}
    twice = body.replace(b"==\n", b"==\nx-evil:1\n")
    assert code([twice], 1, NAME) == "MalformedTrailerError"
