"""ClientHellos taken apart and put together: the same bytes, or one thing changed and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tlslab.attack import client_hello
from tlslab.attack.client_hello import encode
from tlslab.pki import Authority
from tlslab.tls import ClientPolicy, TLSStream, Version
from tlslab.tls.hello import (
    ALPN,
    KEY_SHARE,
    SERVER_NAME,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    ClientHello,
    Extension,
)
from tlslab.tls.records import NEED_MORE, HandshakeParser, RecordParser

GREASE = 0x1A1A  # a type that no parser reads into

extensions = st.lists(
    st.builds(Extension, st.integers(0xF000, 0xFE00), st.binary(max_size=40)),
    max_size=5,
    unique_by=lambda extension: extension.type,
).map(tuple)

hellos = st.builds(
    ClientHello,
    legacy_version=st.integers(0, 0xFFFF),
    random=st.binary(min_size=32, max_size=32),
    session_id=st.binary(max_size=32),
    cipher_suites=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=9).map(tuple),
    compression_methods=st.binary(min_size=1, max_size=3),
    extensions=extensions,
)


@given(hellos)
def test_what_is_encoded_is_parsed_again(hello: ClientHello) -> None:
    message = encode(hello)
    assert int.from_bytes(message[1:4]) == len(message) - 4
    assert ClientHello.parse(message[4:]) == hello
    assert encode(ClientHello.parse(message[4:])) == message


async def real(policy: ClientPolicy) -> bytes:
    """The ClientHello that OpenSSL makes: the handshake message's bytes."""
    near, far = trio.testing.memory_stream_pair()
    stream = TLSStream.client(near, policy, "shop.test")
    records, messages = RecordParser(), HandshakeParser()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.do_handshake)
        while True:
            records.feed(bytes(await far.receive_some()))
            record = records.next()
            assert record is not NEED_MORE
            messages.feed(record.payload)
            if (message := messages.next()) is not NEED_MORE:
                nursery.cancel_scope.cancel()
                return bytes((message.type,)) + len(message.body).to_bytes(3) + message.body


@pytest.fixture
async def hello(authority: Authority) -> ClientHello:
    policy = ClientPolicy(trust=authority.trust, alpn=("h2", "http/1.1"))
    return ClientHello.parse((await real(policy))[4:])


@pytest.mark.parametrize("version", Version)
async def test_a_real_hello_is_encoded_to_the_same_bytes(
    authority: Authority, version: Version
) -> None:
    message = await real(ClientPolicy(trust=authority.trust, maximum=version, alpn=("h2",)))
    assert encode(ClientHello.parse(message[4:])) == message


def kept(before: ClientHello, after: ClientHello, *changed: int) -> bool:
    """Whether every extension but the changed ones is as it was, and in its place."""
    return [one for one in before.extensions if one.type not in changed] == [
        one for one in after.extensions if one.type not in changed
    ]


async def test_an_edit_changes_one_thing(hello: ClientHello) -> None:
    named = client_hello.with_server_name(hello, "a-much-longer-name.test")
    assert named.server_name == "a-much-longer-name.test"
    assert kept(hello, named, SERVER_NAME)

    other = client_hello.with_alpn(hello, ("x",))
    assert other.alpn == ("x",)
    assert kept(hello, other, ALPN)

    groups = client_hello.with_numbers(hello, SUPPORTED_GROUPS, (29,))
    assert groups.groups == (29,)
    assert kept(hello, groups, SUPPORTED_GROUPS)

    versions = client_hello.with_numbers(hello, SUPPORTED_VERSIONS, (0x0303,), length_size=1)
    assert versions.supported_versions == (0x0303,)

    shares = client_hello.without_key_shares(hello, hello.groups[:1])
    assert shares.key_shares == hello.key_shares[1:]
    assert kept(hello, shares, KEY_SHARE)

    suites = client_hello.with_ciphers(hello, hello.cipher_suites[-1:])
    assert suites.cipher_suites == hello.cipher_suites[-1:]
    assert suites.extensions == hello.extensions

    without = client_hello.without(hello, ALPN)
    assert without.alpn == ()
    assert len(without.extensions) == len(hello.extensions) - 1


async def test_an_edit_of_what_is_not_there_changes_nothing(hello: ClientHello) -> None:
    assert client_hello.without(hello, GREASE) == hello
    assert client_hello.with_extension(hello, GREASE, b"x") == hello


async def test_a_hello_without_extensions_has_no_field_for_them(hello: ClientHello) -> None:
    bare = replace(hello, extensions=())
    fields = 2 + 32 + 1 + len(hello.session_id) + 2 + 2 * len(hello.cipher_suites) + 2
    assert len(encode(bare)) == 4 + fields
