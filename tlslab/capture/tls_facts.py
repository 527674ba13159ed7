"""What a TLS connection shows to somebody without keys: hellos, certificates, alerts and sizes.

Reads one connection's two directions and never fails: bytes that stop being TLS end the reading,
and what was seen until then stands.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from tlslab.capture.streams import Stream
from tlslab.net import Direction
from tlslab.tls.fingerprint import ja3, ja4
from tlslab.tls.hello import (
    ClientHello,
    ServerHello,
    certificate_list,
    key_exchange_group,
)
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
from tlslab.tls.registry import CIPHER_SUITES, cipher_suite_name, group_name, version_name

_TLS_1_3: Final = 0x0304
_FEED: Final = 1 << 20
_MAX_ALERTS: Final = 100
_MAX_NAMES: Final = 100
_ALERT_SIZE: Final = 2  # in plain; an encrypted alert is longer by at least its tag or MAC


@dataclass(frozen=True)
class AlertSeen:
    """An alert that travelled in plain (RFC 8446 section 6): its number, and which way it went."""

    direction: Direction
    number: int
    fatal: bool


@dataclass(frozen=True)
class CertificateSeen:
    """The server's leaf certificate as anybody on the path could read it."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    der: bytes


@dataclass(frozen=True)
class TLSFacts:
    """What the connection shows without keys. None where nothing was seen.

    Names of numbers are IANA's. `alpn` is the server's choice, which TLS 1.3 hides. `group` is the
    one negotiated. `certificate` is None if hidden (TLS 1.3) or unreadable; `certificates` counts
    those seen in plain. `resumed` is None if the handshake did not come so far. Sizes are bytes of
    application data records each way (TLS 1.3 hides encrypted handshake messages among them).
    """

    version: str | None = None
    cipher_suite: str | None = None
    group: str | None = None
    server_name: str | None = None
    alpn_offered: tuple[str, ...] = ()
    alpn: str | None = None
    versions_offered: tuple[str, ...] = ()
    certificates: int = 0
    certificate: CertificateSeen | None = None
    client_certificate_seen: bool = False
    resumed: bool | None = None
    retried: bool = False
    encrypted_client_hello: bool = False
    ja3: str | None = None
    ja4: str | None = None
    alerts: tuple[AlertSeen, ...] = ()
    encrypted_to_server: int = 0
    encrypted_to_client: int = 0

    @property
    def certificate_visible(self) -> bool:
        """Whether the server's certificate travelled in plain."""
        return self.certificates > 0


def looks_like_tls(head: bytes) -> bool:
    """Whether a direction begins with a TLS handshake or alert record."""
    if len(head) < 3 or head[0] not in (ContentType.HANDSHAKE, ContentType.ALERT):
        return False
    parser = RecordParser()
    parser.feed(head[:16])
    try:
        parser.next()
    except MalformedTLS:
        return False
    return True


def tls_facts(to_server: Stream, to_client: Stream) -> TLSFacts:
    """Read both directions of a connection."""
    client, server = _Side(Direction.TO_SERVER), _Side(Direction.TO_CLIENT)
    client.read(to_server)
    server.read(to_client)
    hello, answer = client.client_hello, server.server_hello
    version = None if answer is None else answer.selected_version
    return TLSFacts(
        version=None if version is None else version_name(version),
        cipher_suite=None if answer is None else cipher_suite_name(answer.cipher_suite),
        group=_group(answer, server),
        server_name=None if hello is None else hello.server_name,
        alpn_offered=() if hello is None else hello.alpn,
        alpn=None if answer is None else answer.alpn,
        versions_offered=() if hello is None else tuple(map(version_name, _versions(hello))),
        certificates=len(server.certificates),
        certificate=_leaf(server.certificates),
        client_certificate_seen=bool(client.certificates),
        resumed=_resumed(answer, server),
        retried=server.retried,
        encrypted_client_hello=hello is not None and hello.encrypted_client_hello,
        ja3=None if hello is None else ja3(hello),
        ja4=None if hello is None else ja4(hello),
        alerts=tuple(client.alerts + server.alerts),
        encrypted_to_server=client.encrypted,
        encrypted_to_client=server.encrypted,
    )


class _Side:
    """One direction of a connection while it is read."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._messages = HandshakeParser()
        self._in_plain = True
        self.client_hello: ClientHello | None = None
        self.server_hello: ServerHello | None = None
        self.retried = False
        self.certificates: tuple[bytes, ...] = ()
        self.key_exchange: bytes | None = None
        self.changed_cipher = False
        self.alerts: list[AlertSeen] = []
        self.encrypted = 0

    def read(self, stream: Stream) -> None:
        """Everything up to the first gap, or to the first byte that is not TLS."""
        records = RecordParser()
        following = 0
        try:
            for run in stream.runs(_FEED):
                if run.offset != following:
                    return
                following += len(run.data)
                records.feed(run.data)
                while (record := records.next()) is not NEED_MORE:
                    self._record(record)
        except MalformedTLS:
            return

    def _record(self, record: Record) -> None:
        match record.content_type:
            case ContentType.APPLICATION_DATA:
                self.encrypted += len(record.payload)
            case ContentType.CHANGE_CIPHER_SPEC:
                self.changed_cipher = True
                self._in_plain = False
            case ContentType.ALERT if len(record.payload) == _ALERT_SIZE:
                if len(self.alerts) < _MAX_ALERTS:
                    level, number = record.payload
                    self.alerts.append(AlertSeen(self._direction, number, level == 2))
            case ContentType.HANDSHAKE if self._in_plain or self._expects_hello:
                self._messages.feed(record.payload)
                while (message := self._messages.next()) is not NEED_MORE:
                    self._message(message)
            case _:
                pass

    @property
    def _expects_hello(self) -> bool:
        """After HelloRetryRequest a ChangeCipherSpec may come that changes nothing (8446, D.4)."""
        return self.server_hello is not None and self.server_hello.is_hello_retry_request

    def _message(self, message: HandshakeMessage) -> None:
        match message.type:
            case HandshakeType.CLIENT_HELLO if self.client_hello is None:
                self.client_hello = ClientHello.parse(message.body)
            case HandshakeType.SERVER_HELLO:
                self.retried = self.retried or self.server_hello is not None
                self.server_hello = ServerHello.parse(message.body)
            case HandshakeType.CERTIFICATE if not self.certificates:
                self.certificates = certificate_list(message.body)
            case HandshakeType.SERVER_KEY_EXCHANGE:
                self.key_exchange = message.body
            case _:
                pass


def _versions(hello: ClientHello) -> tuple[int, ...]:
    return hello.supported_versions or (hello.legacy_version,)


def _group(answer: ServerHello | None, server: _Side) -> str | None:
    if answer is None:
        return None
    number = answer.selected_group
    uses_curve = "_ECDHE_" in CIPHER_SUITES.get(answer.cipher_suite, "")
    if number is None and server.key_exchange and uses_curve:
        try:
            number = key_exchange_group(server.key_exchange)
        except MalformedTLS:
            return None
    return None if number is None else group_name(number)


def _resumed(answer: ServerHello | None, server: _Side) -> bool | None:
    if answer is None or answer.is_hello_retry_request:
        return None
    if answer.selected_version >= _TLS_1_3:
        return answer.selected_psk is not None
    # TLS 1.2 (RFC 5246 section 7.3): who resumes goes from ServerHello to ChangeCipherSpec.
    if server.certificates or server.key_exchange:
        return False
    return True if server.changed_cipher else None


def _leaf(certificates: tuple[bytes, ...]) -> CertificateSeen | None:
    if not certificates:
        return None
    try:
        with warnings.catch_warnings():
            # Certificates of strangers may break rules that cryptography warns of.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            leaf = x509.load_der_x509_certificate(certificates[0])
            return CertificateSeen(
                leaf.subject.rfc4514_string(),
                leaf.issuer.rfc4514_string(),
                _names(leaf),
                certificates[0],
            )
    except Exception:
        # Hostile DER: cryptography documents several exceptions here and raises more (ValueError,
        # x509.InvalidVersion, DuplicateExtension, UnsupportedAlgorithm, …). None is ours to report.
        return None


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = [
        str(name.value)
        for name in extension.value
        if isinstance(name, (x509.DNSName, x509.IPAddress))
    ]
    return tuple(names[:_MAX_NAMES])
