"""The small pieces on their own: header lookup, replay, the plain nursery."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import memory_stream_pair

from tlslab.http import ReplayStream, header, header_tokens
from tlslab.http.nursery import open_plain_nursery

FIELDS = [(b"Connection", b"close, Upgrade"), (b"X", b"1"), (b"cOnnection", b" ,TE,,")]


def test_header_lookup_ignores_case_and_takes_the_first() -> None:
    assert header(FIELDS, b"CONNECTION") == b"close, Upgrade"
    assert header(FIELDS, b"missing") is None
    assert header_tokens(FIELDS, b"connection") == [b"close", b"upgrade", b"te"]
    assert header_tokens(FIELDS, b"missing") == []


@given(
    prefix=st.binary(max_size=30),
    rest=st.binary(min_size=1, max_size=30),
    size=st.none() | st.integers(1, 40),
)
def test_replay_gives_the_same_bytes_in_any_pieces(
    prefix: bytes, rest: bytes, size: int | None
) -> None:
    async def main() -> bytes:
        ours, theirs = memory_stream_pair()
        await theirs.send_all(rest)
        await theirs.send_eof()
        stream = ReplayStream(ours, prefix)
        received = b""
        while data := await stream.receive_some(size):
            assert size is None or len(data) <= size
            received += data
        return received

    assert trio.run(main) == prefix + rest


async def test_replay_sends_and_closes_what_is_underneath() -> None:
    ours, theirs = memory_stream_pair()
    stream = ReplayStream(ours, b"seen")
    await stream.wait_send_all_might_not_block()
    await stream.send_all(b"sent")
    assert await theirs.receive_some() == b"sent"
    await stream.send_eof()
    assert await theirs.receive_some() == b""
    await stream.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.send_all(b"x")


async def test_the_plain_nursery_unwraps_one_error_and_keeps_several() -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def run(*errors: Exception) -> None:
        async with open_plain_nursery() as nursery:
            for error in errors:
                nursery.start_soon(fail, error)

    with pytest.raises(ZeroDivisionError):
        await run(ZeroDivisionError())
    with pytest.raises(ExceptionGroup):
        await run(ZeroDivisionError(), KeyError())
