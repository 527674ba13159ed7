"""The two directions of one recorded connection: what was said in plain, and what was not.

Knows records and hellos, and no keys. In TLS 1.2 everything after ChangeCipherSpec is protected
(RFC 5246 section 7.1); in TLS 1.3 everything that looks like application data is, and
ChangeCipherSpec means nothing (RFC 8446 appendix D.4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tlslab.tls.decryption.opened import CannotDecrypt
from tlslab.tls.decryption.suites import suite_of
from tlslab.tls.hello import ClientHello, ServerHello, key_exchange_group
from tlslab.tls.records import (
    NEED_MORE,
    ContentType,
    HandshakeMessage,
    HandshakeParser,
    HandshakeType,
    MalformedTLS,
    Record,
    RecordParser,
)

TLS_1_3: Final = 0x0304


@dataclass
class Side:
    """One direction: handshake messages in plain, protected records, and why it ends where it does.

    `changed` tells whether ChangeCipherSpec was seen. `left` is None if the bytes end with a
    record.
    """

    plain: list[HandshakeMessage] = field(default_factory=list)
    protected: list[Record] = field(default_factory=list)
    changed: bool = False
    left: str | None = None

    def message(self, kind: HandshakeType) -> HandshakeMessage | None:
        """The first plain message of a type."""
        return next((message for message in self.plain if message.type == kind), None)


@dataclass
class Recording:
    """One connection, ready to be opened."""

    client: Side
    server: Side
    client_hello: ClientHello
    server_hello: ServerHello

    @property
    def version(self) -> int:
        """The version agreed on."""
        return self.server_hello.selected_version

    @property
    def group(self) -> int | None:
        """The group in which both agreed on a key; None if there was none, or none with a name."""
        message = self.server.message(HandshakeType.SERVER_KEY_EXCHANGE)
        if self.version >= TLS_1_3 or message is None:
            return self.server_hello.selected_group
        if not suite_of(self.server_hello.cipher_suite).key_exchange.startswith("ECDHE"):
            return None
        try:
            return key_exchange_group(message.body)
        except MalformedTLS:
            return None

    @property
    def resumes(self) -> bool:
        """Whether an earlier session was taken up (RFC 5246 section 7.3, RFC 8446 section 2.2)."""
        if self.version >= TLS_1_3:
            return self.server_hello.selected_psk is not None
        return self.client.message(HandshakeType.CLIENT_KEY_EXCHANGE) is None

    @classmethod
    def read(cls, to_server: bytes, to_client: bytes) -> Recording:
        """Take both directions apart. Raises `CannotDecrypt` where there is no TLS to open."""
        client_records, client_left = _records(to_server)
        server_records, server_left = _records(to_client)
        if not client_records and client_left is not None:
            raise CannotDecrypt(f"the recording is not TLS: {client_left}")
        try:
            server_hello = _server_hello(server_records)
            tls13 = server_hello.selected_version >= TLS_1_3
            client, server = _side(client_records, tls13), _side(server_records, tls13)
            opening = client.message(HandshakeType.CLIENT_HELLO)
            if opening is None or client.plain[0] is not opening:
                raise CannotDecrypt("the recording does not begin with a ClientHello")
            client_hello = ClientHello.parse(opening.body)
        except MalformedTLS as error:
            raise CannotDecrypt(f"the recording is not TLS: {error.message}") from error
        client.left, server.left = client_left, server_left
        return cls(client, server, client_hello, server_hello)


def _records(data: bytes) -> tuple[list[Record], str | None]:
    """The whole records, and why there are no more."""
    parser, records = RecordParser(), []
    parser.feed(data)
    try:
        while (record := parser.next()) is not NEED_MORE:
            records.append(record)
    except MalformedTLS as error:
        return records, error.message
    return records, "the recording ends within a record" if parser.pending else None


def _server_hello(records: list[Record]) -> ServerHello:
    """What the server chose; after a HelloRetryRequest it is the second hello that counts."""
    found: ServerHello | None = None
    messages = HandshakeParser()
    for record in records:
        if found is not None and not found.is_hello_retry_request:
            break
        if record.content_type is not ContentType.HANDSHAKE:
            continue
        messages.feed(record.payload)
        while (message := messages.next()) is not NEED_MORE:
            if message.type == HandshakeType.SERVER_HELLO:
                found = ServerHello.parse(message.body)
            elif found is None:
                raise CannotDecrypt("the server's answer does not begin with a ServerHello")
            else:
                break
    if found is None or found.is_hello_retry_request:
        raise CannotDecrypt("the server's answer holds no ServerHello")
    return found


def _side(records: list[Record], tls13: bool) -> Side:
    side, messages = Side(), HandshakeParser()
    for record in records:
        protected = record.content_type is ContentType.APPLICATION_DATA if tls13 else side.changed
        if protected:
            side.protected.append(record)
        elif record.content_type is ContentType.CHANGE_CIPHER_SPEC:
            side.changed = True
        elif record.content_type is ContentType.HANDSHAKE:
            messages.feed(record.payload)
            while (message := messages.next()) is not NEED_MORE:
                side.plain.append(message)
    return side


def wire(message: HandshakeMessage) -> bytes:
    """A handshake message as it was sent (RFC 5246 section 7.4)."""
    return bytes((message.type,)) + len(message.body).to_bytes(3) + message.body
