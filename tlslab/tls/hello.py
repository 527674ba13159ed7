"""Handshake messages that travel in plain, read without keys: hellos and the TLS 1.2 certificates.

Knows the layout of messages (RFC 8446 section 4, RFC 5246 section 7.4) and nothing of records,
sockets or X.509: certificates are handed out as DER bytes. Whatever a stranger sends, the answer
is a value or `MalformedTLS`. Numbers are kept as they came, GREASE included; `registry` names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlslab.tls.records import (
    NEED_MORE,
    ContentType,
    Cursor,
    HandshakeParser,
    HandshakeType,
    MalformedTLS,
    RecordParser,
)
from tlslab.tls.registry import without_grease

# Raw bytes in which a ClientHello must be complete. The largest honest ones (post-quantum key
# share, ECH, many tickets) are under 8 KiB; without a bound, a peer that sends one byte per record
# would make every further peek dearer than the last.
MAX_PEEK: Final = 2**16

MAX_SERVER_NAME: Final = 255  # RFC 1035 section 2.3.4, and OpenSSL's TLSEXT_MAXLEN_host_name

# RFC 8446 section 4.1.3: SHA-256 of "HelloRetryRequest" in place of the server's random.
HELLO_RETRY_REQUEST_RANDOM: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)

SERVER_NAME: Final = 0
SUPPORTED_GROUPS: Final = 10
EC_POINT_FORMATS: Final = 11
SIGNATURE_ALGORITHMS: Final = 13
ALPN: Final = 16
ENCRYPT_THEN_MAC: Final = 22  # RFC 7366 section 2
EXTENDED_MASTER_SECRET: Final = 23  # RFC 7627 section 5.1
SESSION_TICKET: Final = 35
PRE_SHARED_KEY: Final = 41
EARLY_DATA: Final = 42
SUPPORTED_VERSIONS: Final = 43
KEY_SHARE: Final = 51
ENCRYPTED_CLIENT_HELLO: Final = 0xFE0D

_NAMED_CURVE: Final = 3  # RFC 8422 section 5.4, ECCurveType


@dataclass(frozen=True, slots=True)
class Extension:
    """One hello extension, unread."""

    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class KeyShare:
    """A public key offered or chosen for a group (RFC 8446 section 4.2.8)."""

    group: int
    key: bytes


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers, in plain (RFC 8446 section 4.1.2).

    `alpn` maps each byte to one character (latin-1), since protocol names are bytes; they and
    `server_name` come from a stranger: escape control characters before printing. `server_name`
    is the name in SNI, which with Encrypted ClientHello is only the outer one.
    """

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suites: tuple[int, ...]
    compression_methods: bytes
    extensions: tuple[Extension, ...]
    server_name: str | None = None
    alpn: tuple[str, ...] = ()
    supported_versions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    signature_algorithms: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    key_shares: tuple[KeyShare, ...] = ()

    @property
    def highest_version(self) -> int:
        """The highest version offered, GREASE left out."""
        return max(without_grease(self.supported_versions), default=self.legacy_version)

    @property
    def offers_resumption(self) -> bool:
        """Whether the client asks to resume: a pre-shared key, or a non-empty TLS 1.2 ticket.

        A session id alone is no sign, for TLS 1.3 clients send one to please middleboxes.
        """
        return any(
            extension.type == PRE_SHARED_KEY
            or (extension.type == SESSION_TICKET and extension.data != b"")
            for extension in self.extensions
        )

    @property
    def offers_early_data(self) -> bool:
        """Whether application data follows before the server answers (0-RTT)."""
        return any(extension.type == EARLY_DATA for extension in self.extensions)

    @property
    def encrypted_client_hello(self) -> bool:
        """Whether the extension for ECH is there (real or GREASE: they look the same)."""
        return any(extension.type == ENCRYPTED_CLIENT_HELLO for extension in self.extensions)

    @classmethod
    def parse(cls, body: bytes) -> ClientHello:
        """Read the body of a ClientHello message. Raises `MalformedTLS`."""
        cursor = Cursor(body)
        version = cursor.number(2, "the version")
        random = cursor.take(32, "the random")
        session_id = _session_id(cursor)
        suites = cursor.vector(2, "the cipher suites").numbers(2, "a cipher suite")
        compression = cursor.vector(1, "the compression methods").rest()
        if not suites or not compression:
            raise MalformedTLS("an empty list in the ClientHello", offset=cursor.offset)
        extensions, cursors = _extensions(cursor)
        return cls(
            version,
            random,
            session_id,
            suites,
            compression,
            extensions,
            server_name=_server_name(cursors.get(SERVER_NAME)),
            alpn=_alpn(cursors.get(ALPN)),
            supported_versions=_list(cursors.get(SUPPORTED_VERSIONS), 1, 2, "supported_versions"),
            groups=_list(cursors.get(SUPPORTED_GROUPS), 2, 2, "supported_groups"),
            signature_algorithms=_list(
                cursors.get(SIGNATURE_ALGORITHMS), 2, 2, "signature_algorithms"
            ),
            point_formats=_list(cursors.get(EC_POINT_FORMATS), 1, 1, "ec_point_formats"),
            key_shares=_client_key_shares(cursors.get(KEY_SHARE)),
        )


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What a server chose, in plain (RFC 8446 section 4.1.3).

    `selected_group` is there in TLS 1.3 only (in TLS 1.2 see `key_exchange_group`), `alpn` in
    TLS 1.2 only (TLS 1.3 encrypts it). `selected_psk` is the identity resumed in TLS 1.3.
    """

    legacy_version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression_method: int
    extensions: tuple[Extension, ...]
    selected_version: int
    selected_group: int | None = None
    selected_psk: int | None = None
    alpn: str | None = None

    @property
    def is_hello_retry_request(self) -> bool:
        """Whether this asks for another ClientHello instead of answering it."""
        return self.random == HELLO_RETRY_REQUEST_RANDOM

    @classmethod
    def parse(cls, body: bytes) -> ServerHello:
        """Read the body of a ServerHello message. Raises `MalformedTLS`."""
        cursor = Cursor(body)
        version = cursor.number(2, "the version")
        random = cursor.take(32, "the random")
        session_id = _session_id(cursor)
        suite = cursor.number(2, "the cipher suite")
        compression = cursor.number(1, "the compression method")
        extensions, cursors = _extensions(cursor)
        protocols = _alpn(cursors.get(ALPN))
        if len(protocols) > 1:
            raise MalformedTLS("the server chose several protocols", offset=cursor.offset)
        selected = _number(cursors.get(SUPPORTED_VERSIONS), "supported_versions")
        return cls(
            version,
            random,
            session_id,
            suite,
            compression,
            extensions,
            selected_version=version if selected is None else selected,
            selected_group=_server_key_share(
                cursors.get(KEY_SHARE), retry=random == HELLO_RETRY_REQUEST_RANDOM
            ),
            selected_psk=_number(cursors.get(PRE_SHARED_KEY), "pre_shared_key"),
            alpn=protocols[0] if protocols else None,
        )


def certificate_list(body: bytes) -> tuple[bytes, ...]:
    """The certificates (DER, leaf first) of a TLS 1.2 Certificate message (RFC 5246 7.4.2).

    Empty when a client has none to show. Raises `MalformedTLS`.
    """
    cursor = Cursor(body)
    entries = cursor.vector(3, "the certificate list")
    cursor.finish("the certificate list")
    certificates = []
    while not entries.at_end:
        certificates.append(entries.vector(3, "a certificate").rest())
    return tuple(certificates)


def key_exchange_group(body: bytes) -> int | None:
    """The group of a TLS 1.2 ServerKeyExchange (RFC 8422 section 5.4); None if not a named curve.

    The message does not say whether it is for ECDHE or DHE: ask the cipher suite first.
    """
    cursor = Cursor(body)
    if cursor.number(1, "the curve type") != _NAMED_CURVE:
        return None
    return cursor.number(2, "the named curve")


def peek_client_hello(buffer: bytes) -> ClientHello | None:
    """The ClientHello that a connection's first bytes hold, or None if more bytes are needed.

    Nothing is consumed and what follows the ClientHello is not looked at. Raises `MalformedTLS` as
    soon as the bytes cannot become one, or when it is not complete within `MAX_PEEK` bytes.
    """
    records, messages = RecordParser(), HandshakeParser()
    records.feed(buffer[:MAX_PEEK])
    while True:
        message = messages.next()
        if message is not NEED_MORE:
            return ClientHello.parse(message.body)
        record = records.next()
        if record is NEED_MORE:
            break
        if record.content_type is not ContentType.HANDSHAKE:
            raise MalformedTLS(
                f"{record.content_type.name} where a ClientHello belongs", offset=record.offset
            )
        if messages.pending == 0 and record.payload[0] != HandshakeType.CLIENT_HELLO:
            raise MalformedTLS("the first message is no ClientHello", offset=record.offset + 5)
        messages.feed(record.payload)
    if len(buffer) >= MAX_PEEK:
        raise MalformedTLS("the ClientHello is too long", offset=MAX_PEEK)
    return None


def _session_id(cursor: Cursor) -> bytes:
    start = cursor.offset
    session_id = cursor.vector(1, "the session id").rest()
    if len(session_id) > 32:
        raise MalformedTLS("the session id is too long", offset=start)
    return session_id


def _extensions(cursor: Cursor) -> tuple[tuple[Extension, ...], dict[int, Cursor]]:
    """The extensions in order, and a cursor into each by type. None of them may come twice."""
    if cursor.at_end:  # RFC 5246 section 7.4.1.2: a hello without the field is a whole hello
        return (), {}
    block = cursor.vector(2, "the extensions")
    cursor.finish("the extensions")
    extensions: list[Extension] = []
    cursors: dict[int, Cursor] = {}
    while not block.at_end:
        start = block.offset
        kind = block.number(2, "an extension's type")
        if kind in cursors:
            raise MalformedTLS(f"extension {kind} comes twice", offset=start)
        inner = block.vector(2, "an extension")
        base = inner.offset
        data = inner.rest()
        extensions.append(Extension(kind, data))
        cursors[kind] = Cursor(data, base)
    return tuple(extensions), cursors


def _list(cursor: Cursor | None, length_size: int, size: int, what: str) -> tuple[int, ...]:
    if cursor is None:
        return ()
    values = cursor.vector(length_size, what).numbers(size, f"an entry of {what}")
    cursor.finish(what)
    return values


def _number(cursor: Cursor | None, what: str) -> int | None:
    if cursor is None:
        return None
    value = cursor.number(2, what)
    cursor.finish(what)
    return value


def _server_name(cursor: Cursor | None) -> str | None:
    """The host name of RFC 6066 section 3; other kinds of names were never defined."""
    if cursor is None or cursor.at_end:  # a server acknowledges SNI with an empty extension
        return None
    names = cursor.vector(2, "server_name")
    cursor.finish("server_name")
    kind = names.number(1, "the name's type")
    start = names.offset
    name = names.vector(2, "the server name").rest()
    if kind != 0 or not names.at_end:
        raise MalformedTLS("server_name does not hold one host name", offset=start)
    if not 0 < len(name) <= MAX_SERVER_NAME or not name.isascii():
        raise MalformedTLS("the server name is no ASCII host name", offset=start)
    return name.decode("ascii")


def _alpn(cursor: Cursor | None) -> tuple[str, ...]:
    if cursor is None:
        return ()
    entries = cursor.vector(2, "the protocol list")
    cursor.finish("the protocol list")
    protocols = []
    while not entries.at_end:
        protocols.append(entries.vector(1, "a protocol name").rest().decode("latin-1"))
    return tuple(protocols)


def _client_key_shares(cursor: Cursor | None) -> tuple[KeyShare, ...]:
    if cursor is None:
        return ()
    entries = cursor.vector(2, "key_share")
    cursor.finish("key_share")
    shares = []
    while not entries.at_end:
        group = entries.number(2, "a key share's group")
        shares.append(KeyShare(group, entries.vector(2, "a key share").rest()))
    return tuple(shares)


def _server_key_share(cursor: Cursor | None, *, retry: bool) -> int | None:
    """The group chosen; a HelloRetryRequest names it without a key (RFC 8446 section 4.2.8)."""
    if cursor is None:
        return None
    group = cursor.number(2, "the key share's group")
    if not retry:
        cursor.vector(2, "the key share")
    cursor.finish("key_share")
    return group
