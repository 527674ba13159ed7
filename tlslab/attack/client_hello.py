"""A ClientHello taken apart by `tls.hello`, put together again with something changed.

Every length around what changes is made to fit, so the result is a valid message: nothing but its
content gives the edit away. Knows nothing of records, and of attacks only that hellos are edited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tlslab.tls.hello import ALPN, KEY_SHARE, SERVER_NAME, ClientHello, Extension
from tlslab.tls.records import HandshakeType

EXTENDED_MASTER_SECRET: Final = 23
"""The extension of RFC 7627."""


def encode(hello: ClientHello) -> bytes:
    """The whole handshake message (RFC 8446 section 4.1.2) of the raw fields of `hello`.

    Of extensions, `hello.extensions` counts; what was read out of them does not. Without any, the
    field is left out, as clients before TLS 1.2 do.
    """
    body = (
        hello.legacy_version.to_bytes(2)
        + hello.random
        + vector(1, hello.session_id)
        + vector(2, numbers(hello.cipher_suites))
        + vector(1, hello.compression_methods)
    )
    if hello.extensions:
        body += vector(2, b"".join(_extension(one) for one in hello.extensions))
    return bytes((HandshakeType.CLIENT_HELLO,)) + vector(3, body)


def with_ciphers(hello: ClientHello, suites: Iterable[int]) -> ClientHello:
    """The hello with these cipher suites."""
    return _read_again(replace(hello, cipher_suites=tuple(suites)))


def without(hello: ClientHello, kind: int) -> ClientHello:
    """The hello without the extension of this type."""
    kept = tuple(one for one in hello.extensions if one.type != kind)
    return _read_again(replace(hello, extensions=kept))


def with_extension(hello: ClientHello, kind: int, data: bytes) -> ClientHello:
    """The hello with other data in the extension of this type, in its place; if it is there."""
    changed = tuple(Extension(kind, data) if one.type == kind else one for one in hello.extensions)
    return _read_again(replace(hello, extensions=changed))


def with_numbers(
    hello: ClientHello, kind: int, values: Iterable[int], *, length_size: int = 2
) -> ClientHello:
    """The hello with another list of 16-bit numbers in an extension that holds one.

    supported_groups and signature_algorithms have a length of two bytes, supported_versions of one.
    """
    return with_extension(hello, kind, vector(length_size, numbers(values)))


def with_server_name(hello: ClientHello, name: str) -> ClientHello:
    """The hello with another name in SNI (RFC 6066 section 3)."""
    entry = b"\0" + vector(2, name.encode("ascii"))
    return with_extension(hello, SERVER_NAME, vector(2, entry))


def with_alpn(hello: ClientHello, protocols: Iterable[str]) -> ClientHello:
    """The hello with another list of protocols (RFC 7301 section 3.1)."""
    entries = b"".join(vector(1, protocol.encode("latin-1")) for protocol in protocols)
    return with_extension(hello, ALPN, vector(2, entries))


def without_key_shares(hello: ClientHello, groups: Iterable[int]) -> ClientHello:
    """The hello without key shares for these groups (RFC 8446 section 4.2.8)."""
    unwanted = set(groups)
    kept = b"".join(
        share.group.to_bytes(2) + vector(2, share.key)
        for share in hello.key_shares
        if share.group not in unwanted
    )
    return with_extension(hello, KEY_SHARE, vector(2, kept))


def vector(length_size: int, data: bytes) -> bytes:
    """Data with its length before it (RFC 8446 section 3.4)."""
    return len(data).to_bytes(length_size) + data


def numbers(values: Iterable[int]) -> bytes:
    """16-bit numbers, big-endian."""
    return b"".join(value.to_bytes(2) for value in values)


def _extension(extension: Extension) -> bytes:
    return extension.type.to_bytes(2) + vector(2, extension.data)


def _read_again(hello: ClientHello) -> ClientHello:
    return ClientHello.parse(encode(hello)[4:])
