"""From OpenSSL's error queue and a connection's notes to an error that says what happened.

Works on numbers only: OpenSSL's reason numbers, X509 numbers and alerts. Knows nothing of streams.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509

from tlslab.tls.alerts import Alert
from tlslab.tls.bindings import OpenSSLError
from tlslab.tls.errors import BrokenConnection, CertificateRefused, HandshakeFailure
from tlslab.tls.notes import Notes

# Reason numbers of <openssl/sslerr.h>.
_HTTPS_PROXY_REQUEST: Final = 155
_HTTP_REQUEST: Final = 156
_WRONG_VERSION_NUMBER: Final = 267

_HINTS: Final = {
    _HTTP_REQUEST: "the client speaks plain HTTP to this TLS port: use https://",
    _HTTPS_PROXY_REQUEST: "the client takes this TLS port for an HTTP proxy: speak TLS to it first",
    _WRONG_VERSION_NUMBER: "the other side does not speak TLS on this port",
}


def handshake_failure(
    error: OpenSSLError,
    notes: Notes,
    chain: tuple[x509.Certificate, ...],
    *,
    after_handshake: bool = False,
) -> HandshakeFailure:
    """Why the handshake failed; `chain` is what the peer had shown by then."""
    reason_number, reason = _first_reason(error)
    alert = None if notes.alert is None else Alert(notes.alert[0])
    refusal = notes.refusal
    if refusal is not None:
        return CertificateRefused(
            x509_number=refusal.number,
            depth=refusal.depth,
            certificate=refusal.certificate,
            peer_chain=chain or refusal.chain,
            alert=alert,
            reason_number=reason_number,
            objection=refusal.objection,
        )
    direction = None if notes.alert is None else notes.alert[1]
    if alert is not None and direction == "received":
        when = "after the handshake had succeeded here" if after_handshake else "in the handshake"
        message = f"the peer refused {when}: {alert}"
        reason = alert.explanation.meaning
    else:
        message = f"the handshake failed: {reason}" + (f" (sent {alert})" if alert else "")
    hint = _HINTS.get(reason_number or 0)
    if hint is None and alert is not None:
        hint = f"usual cause: {alert.explanation.cause}; {alert.explanation.fix}"
    return HandshakeFailure(
        message,
        reason=reason,
        reason_number=reason_number,
        alert=alert,
        alert_direction=direction,
        peer_chain=chain,
        after_handshake=after_handshake,
        hint=hint,
    )


def broken_connection(error: OpenSSLError, notes: Notes) -> BrokenConnection:
    """Why an established connection broke."""
    reason_number, reason = _first_reason(error)
    alert = None if notes.alert is None else Alert(notes.alert[0])
    direction = None if notes.alert is None else notes.alert[1]
    if alert is not None and direction == "received":
        message = f"the peer broke the connection off: {alert}"
    else:
        message = f"the connection broke: {reason}" + (f" (sent {alert})" if alert else "")
    return BrokenConnection(
        message,
        reason=reason,
        reason_number=reason_number,
        alert=alert,
        alert_direction=direction,
        hint=None if alert is None else alert.explanation.fix,
    )


def _first_reason(error: OpenSSLError) -> tuple[int | None, str]:
    """The first entry is the cause, the others are what it led to."""
    if not error.reasons:
        return None, "it had failed before"
    number, text = error.reasons[0]
    return number, text.lower()
