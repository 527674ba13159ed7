"""The journal of a run: who told whom what, and who refused whom, as it happens.

Parties write into it; nothing in it is judged here. Times are seconds since the run began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509

from tlslab.lab.evidence import Message, Refusal, TLSRecord
from tlslab.net import EXTERNAL
from tlslab.tls import CertificateRefused, HandshakeFailure, TLSFacts


@dataclass
class Journal:
    """Messages, handshakes and refusals in the order in which they came about."""

    clock: Callable[[], float]
    messages: list[Message] = field(default_factory=list)
    tls: list[TLSRecord] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

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
        chain = facts.peer_chain
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

    def refused(self, side: str, peer: str, error: HandshakeFailure) -> None:
        """`side` met with a handshake that failed in its dealings with `peer`.

        The end that sent the alert is the one that refused. Both ends meet with the refusal, and
        it is written down once, in the refuser's words if it has any.
        """
        received = error.alert_direction == "received"
        refuser, refused = (peer, side) if received else (side, peer)
        why, certificate = error.explanation, isinstance(error, CertificateRefused)
        refusal = Refusal(
            refuser=refuser,
            peer=refused,
            reason=error.reason,
            x509_number=error.x509_number if isinstance(error, CertificateRefused) else None,
            x509_name=error.x509_name if isinstance(error, CertificateRefused) else None,
            depth=error.depth if isinstance(error, CertificateRefused) else None,
            alert=error.alert.number if error.alert else None,
            alert_name=error.alert.name if error.alert else None,
            alert_direction=error.alert_direction,
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
        alert = f"alert {error.alert.name} ({error.alert.number})" if error.alert else error.reason
        self.message(refuser, refused, alert, "alert")


def describe(certificate: x509.Certificate) -> str:
    """One line on a certificate: the names it is for, and who signed it."""
    issuer = certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    signer = str(issuer[0].value) if issuer else "(no name)"
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [str(getattr(name, "value", name)) for name in san]
    except x509.ExtensionNotFound:
        names = [certificate.subject.rfc4514_string()]
    return f"{', '.join(names)} (issued by {signer})"
