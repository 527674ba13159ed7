"""The journal of a run: who told whom what, and who refused whom, as it happens.

Parties write into it; nothing in it is judged here. Times are seconds since the run began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cryptography import x509

from tlslab.lab.evidence import Message, Refusal, TLSRecord
from tlslab.net import EXTERNAL
from tlslab.pki import Explanation
from tlslab.tls import (
    BrokenConnection,
    CertificateRefused,
    HandshakeFailure,
    TLSFacts,
    TruncationError,
)

Failure: TypeAlias = HandshakeFailure | BrokenConnection | TruncationError
"""How a connection can fail by TLS: it does not come about, it breaks, or it is cut off."""

FAILURES: Final = (HandshakeFailure, BrokenConnection, TruncationError)

TRUNCATED: Final = Explanation(
    name="truncated",
    meaning="the connection ended without close_notify, so bytes may be missing",
    cause="somebody on the path cut it, or the peer closes without TLS's own ending",
    fix="find out who ended it; never take what came so far for the whole",
)


@dataclass(frozen=True)
class Delivery:
    """A message of an application that `sender` sent, or that `receiver` took for genuine."""

    sender: str
    receiver: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class AlertNote:
    """A fatal alert that `sender` is said to have sent to `receiver`, by `told_by`."""

    sender: str
    receiver: str
    number: int
    told_by: str


@dataclass
class Journal:
    """Messages, handshakes and refusals in the order in which they came about."""

    clock: Callable[[], float]
    messages: list[Message] = field(default_factory=list)
    tls: list[TLSRecord] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    sent: list[Delivery] = field(default_factory=list)
    taken: list[Delivery] = field(default_factory=list)
    alerts: list[AlertNote] = field(default_factory=list)
    relays: dict[tuple[str, str], str] = field(default_factory=dict)
    """By a party and an adversary that only carries bytes to it: who is at the other end."""
    carriers: set[str] = field(default_factory=set)
    """Adversaries that only carry bytes, so that they are nobody's peer."""

    def said(self, sender: str, receiver: str, data: bytes) -> None:
        """`sender` sent a message that is meant for `receiver`."""
        self.sent.append(Delivery(sender, self.other_end(sender, receiver), data))

    def heard(self, receiver: str, sender: str, data: bytes) -> None:
        """`receiver` took a message for what `sender` sent it."""
        self.taken.append(Delivery(self.other_end(receiver, sender), receiver, data))

    def other_end(self, side: str, peer: str, meant: str | None = None) -> str:
        """Who is at the other end of `side`'s connection with `peer`: not who only carries bytes.

        `meant` is whom `side` wanted to reach, if it is the client.
        """
        if peer not in self.carriers:
            return peer
        return self.relays.get((side, peer), meant or peer)

    def message(
        self, source: str, target: str, text: str, kind: str, *, protected: bool = False
    ) -> None:
        """`source` told `target` something; see `evidence.Message`."""
        self.messages.append(Message(self.clock(), source, target, text, kind, protected))

    def handshake(self, side: str, peer: str, facts: TLSFacts, *, began: bool) -> None:
        """`side` completed a TLS handshake with `peer`; it `began` if it is the client.

        The facts are written down at both ends, the message once: at the end that began, or at the
        other where that is not of the lab.
        """
        peer, chain = self.other_end(side, peer), facts.peer_chain
        record = TLSRecord(
            side=side,
            peer=peer,
            version=facts.version,
            cipher=facts.cipher,
            group=facts.group,
            alpn=facts.alpn,
            server_name=facts.server_name,
            resumed=facts.resumed,
            peer_certificate=describe(chain[0]) if chain else None,
        )
        self.tls.append(record)
        if began or peer == EXTERNAL:
            client, server = (side, peer) if began else (peer, side)
            group = f", {facts.group}" if facts.group else ""
            text = f"{facts.version} handshake{group}"
            if facts.tolerated:
                passed_over = ", ".join(str(number) for number in facts.tolerated)
                text += f", passing over X509 error {passed_over}"
            self.message(client, server, text, "tls", protected=True)

    def refused(self, side: str, peer: str, error: Failure) -> None:
        """`side` met with a failure of TLS in its dealings with `peer`: before keys, or later.

        The end that sent the alert is the one that refused. Both ends meet with the refusal, and
        it is written down once, in the refuser's words if it has any.
        """
        peer = self.other_end(side, peer)
        why: Explanation | None = TRUNCATED
        if isinstance(error, TruncationError):
            alert_seen, direction, reason = None, None, error.message
        else:
            alert_seen, direction, reason = error.alert, error.alert_direction, error.reason
            why = error.explanation
        refuser, refused = (peer, side) if direction == "received" else (side, peer)
        if alert_seen is not None:
            self.alerts.append(AlertNote(refuser, refused, alert_seen.number, told_by=side))
        certificate = isinstance(error, CertificateRefused)
        refusal = Refusal(
            refuser=refuser,
            peer=refused,
            reason=reason,
            x509_number=error.x509_number if isinstance(error, CertificateRefused) else None,
            x509_name=error.x509_name if isinstance(error, CertificateRefused) else None,
            depth=error.depth if isinstance(error, CertificateRefused) else None,
            alert=alert_seen.number if alert_seen else None,
            alert_name=alert_seen.name if alert_seen else None,
            alert_direction=direction,
            meaning=why.meaning if why else "",
            cause=why.cause if why else "",
            fix=why.fix if why else "",
        )
        for index, known in enumerate(self.refusals):
            if (known.refuser, known.peer, known.alert) == (refuser, refused, refusal.alert):
                if certificate:
                    self.refusals[index] = refusal
                return
        self.refusals.append(refusal)
        alert = f"alert {alert_seen.name} ({alert_seen.number})" if alert_seen else reason
        self.message(refuser, refused, alert, "alert")

    def declined(
        self, side: str, peer: str, reason: str, why: Explanation, *, status: int | None = None
    ) -> None:
        """`side` refused `peer` by a rule of its own, above TLS, so that there was no alert.

        It said so with an HTTP `status`, or just went away.
        """
        peer = self.other_end(side, peer)
        self.refusals.append(
            Refusal(
                side, peer, reason, meaning=why.meaning, cause=why.cause, fix=why.fix, status=status
            )
        )
        text = reason if status is None else f"{status}: {reason}"
        self.message(side, peer, text, "note" if status is None else "http")


def describe(certificate: x509.Certificate) -> str:
    """One line on a certificate: the names it is for, and who signed it."""
    issuer = certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    signer = str(issuer[0].value) if issuer else "(no name)"
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(getattr(name, "value", name)) for name in san]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        names = [certificate.subject.rfc4514_string()]
    return f"{', '.join(names)} (issued by {signer})"
