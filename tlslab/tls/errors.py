"""How a TLS connection fails, with what is known about it.

    HandshakeFailure        it did not come about; also when the refusal arrives with the first read
    └── CertificateRefused  ... because this side refused the peer's certificate
    BrokenConnection        it broke later: a record that does not authenticate, a fatal alert
    TruncationError         the peer's bytes ended without close_notify (RFC 8446 section 6.1)

The last two are `trio.BrokenResourceError` as well, so code that knows nothing of TLS treats the
stream as what it is. A handshake's failure is not, lest such code swallow a refusal as bad luck.
"""

from __future__ import annotations

import trio
from cryptography import x509

from tlslab.errors import TLSError
from tlslab.pki import Explanation, explain_x509
from tlslab.tls.alerts import Alert
from tlslab.tls.judgement import Objection
from tlslab.tls.notes import Direction


class _WithAlert(TLSError):
    """`alert` is the first fatal one, None if there was none; `reason` is OpenSSL's or our words.

    `alert_direction` tells who complained: this side (`"sent"`) or the peer (`"received"`).
    `reason_number` is OpenSSL's, as in <openssl/sslerr.h>; None if the reason is not OpenSSL's.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        reason_number: int | None = None,
        alert: Alert | None = None,
        alert_direction: Direction | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.reason_number = reason_number
        self.alert = alert
        self.alert_direction = alert_direction

    @property
    def explanation(self) -> Explanation | None:
        """What the alert means, its usual cause and the fix; None without an alert."""
        return None if self.alert is None else self.alert.explanation


class HandshakeFailure(_WithAlert):
    """The connection did not come about: no application data was handed out.

    `peer_chain` is what the peer had shown by then, leaf first. `after_handshake` is true where
    this side's handshake was complete and the peer's refusal came with the first read, as it
    happens to TLS 1.3 clients that lack a certificate (RFC 8446 section 4.4.2.4).
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        reason_number: int | None = None,
        alert: Alert | None = None,
        alert_direction: Direction | None = None,
        peer_chain: tuple[x509.Certificate, ...] = (),
        after_handshake: bool = False,
        hint: str | None = None,
    ) -> None:
        super().__init__(
            message,
            reason=reason,
            reason_number=reason_number,
            alert=alert,
            alert_direction=alert_direction,
            hint=hint,
        )
        self.peer_chain = peer_chain
        self.after_handshake = after_handshake


class CertificateRefused(HandshakeFailure):
    """This side refused the peer's certificate.

    `x509_number` is OpenSSL's X509_V_ERR number, `depth` counts from the leaf (0), `certificate` is
    the one at fault (None if it cannot be parsed). `reason` is the judge's where it refused, else
    the number's name.
    """

    def __init__(
        self,
        *,
        x509_number: int,
        depth: int,
        certificate: x509.Certificate | None,
        peer_chain: tuple[x509.Certificate, ...],
        alert: Alert | None,
        reason_number: int | None = None,
        objection: Objection | None = None,
    ) -> None:
        name = explain_x509(x509_number).name
        why = None if objection is None else objection.explanation
        why = why or explain_x509(x509_number)
        reason = name if objection is None else objection.message
        super().__init__(
            f"certificate refused: {reason} (X509 error {x509_number} at depth {depth})",
            reason=reason,
            reason_number=reason_number,
            alert=alert,
            alert_direction=None if alert is None else "sent",
            peer_chain=peer_chain,
            hint=why.fix,
        )
        self.x509_number = x509_number
        self.x509_name = name
        self._explanation = why
        self.depth = depth
        self.certificate = certificate

    @property
    def explanation(self) -> Explanation:
        """What it means, its usual cause and the fix: the X509 error's, or the judge's own."""
        return self._explanation


class BrokenConnection(_WithAlert, trio.BrokenResourceError):
    """An established connection broke: tampered records, or a fatal alert from the peer."""


class TruncationError(TLSError, trio.BrokenResourceError):
    """The transport ended without close_notify: bytes may be missing (RFC 8446 section 6.1)."""
