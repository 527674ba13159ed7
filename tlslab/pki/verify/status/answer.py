"""What revocation material says of one certificate: good, revoked or unknown, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from tlslab.pki.explanation import Explanation
from tlslab.pki.verify.verdict import Finding, shown
from tlslab.pki.x509_errors import explain_x509


class Standing(enum.Enum):
    """Whether the certificate is known to be good, known to be revoked, or neither."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """A standing, and the finding behind it (None if good)."""

    standing: Standing
    finding: Finding | None = None


GOOD: Final = Answer(Standing.GOOD)


def unknown(reason: str, depth: int, detail: str) -> Answer:
    """An answer that proves nothing, for the reason of that identifier in `REASONS`."""
    return Answer(Standing.UNKNOWN, _finding(reason, depth, detail))


def revoked(depth: int, detail: str) -> Answer:
    """The certificate was taken back."""
    return Answer(Standing.REVOKED, _finding("certificate-revoked", depth, detail))


def _finding(reason: str, depth: int, detail: str) -> Finding:
    rule, number, explanation = REASONS[reason]
    found = explanation or explain_x509(number or 0)
    return Finding(reason, depth, rule, found, shown(detail), number)


_CRL = "RFC 5280 section"
_OCSP = "RFC 6960 section"

REASONS: Final[dict[str, tuple[str, int | None, Explanation | None]]] = {
    "certificate-revoked": (f"{_CRL} 6.3, RFC 6960 section 2.2", 23, None),
    "crl-missing": (f"{_CRL} 6.3", 3, None),
    "crl-signature": (f"{_CRL} 6.3.3(g)", 8, None),
    "crl-not-yet-valid": (f"{_CRL} 5.1.2.4", 11, None),
    "crl-expired": (f"{_CRL} 5.1.2.5", 12, None),
    "crl-issuer-may-not-sign": (f"{_CRL} 6.3.3(f)", 35, None),
    "crl-critical-extension": (f"{_CRL} 5.2", 36, None),
    "crl-scope": (f"{_CRL} 6.3.3(b)", 44, None),
    "crl-unreadable": (
        f"{_CRL} 5.1",
        None,
        Explanation(
            "crl unreadable",
            "The revocation list is not one, or is damaged or too large.",
            "It was cut off on its way, or is another file.",
            "Fetch it again.",
        ),
    ),
    "crl-number": (
        f"{_CRL} 5.2.3",
        None,
        Explanation(
            "crl number",
            "The revocation list does not number itself properly, so an old one can replace it.",
            "The CA's tool wrote a list of version 1, or marked the number as critical.",
            "Issue lists with a CRL number that grows and is not critical.",
        ),
    ),
    "ocsp-unreadable": (
        f"{_OCSP} 4.2.1",
        None,
        Explanation(
            "ocsp unreadable",
            "The OCSP response is not one, or is damaged or too large.",
            "It was cut off on its way, or is another file.",
            "Fetch it again from the responder, as DER.",
        ),
    ),
    "ocsp-unsuccessful": (
        f"{_OCSP} 2.3",
        None,
        Explanation(
            "ocsp unsuccessful",
            "The responder gave an error in place of an answer, which is not even signed.",
            "It is overloaded, does not know the CA, or somebody on the path forged the error.",
            "Ask again later; the server should staple the last good response until then.",
        ),
    ),
    "ocsp-other-certificate": (
        f"{_OCSP} 3.2, item 1",
        None,
        Explanation(
            "ocsp other certificate",
            "The OCSP response is about another certificate.",
            "The server staples a response of its former certificate, or of another host's.",
            "Staple the response for the certificate that is sent.",
        ),
    ),
    "ocsp-signature": (
        f"{_OCSP} 3.2, items 2 and 3",
        None,
        Explanation(
            "ocsp signature",
            "The signature on the OCSP response is not the responder's.",
            "It was changed after signing, or is forged.",
            "Fetch it again; treat it as forged until proven otherwise.",
        ),
    ),
    "ocsp-responder": (
        f"{_OCSP} 4.2.2.2",
        None,
        Explanation(
            "ocsp responder",
            "Whoever signed the OCSP response may not speak for the CA.",
            "It is neither the CA nor somebody whom the CA issued a certificate for OCSPSigning.",
            "Sign with the CA's key, or issue the responder a certificate for it directly.",
        ),
    ),
    "ocsp-not-yet-valid": (
        f"{_OCSP} 3.2, item 5",
        None,
        Explanation(
            "ocsp not yet valid",
            "The OCSP response is from the future.",
            "This machine's clock is behind, or the responder's ahead.",
            "Set the clocks.",
        ),
    ),
    "ocsp-stale": (
        f"{_OCSP} 3.2, item 6",
        None,
        Explanation(
            "ocsp stale",
            "The OCSP response is too old, or does not say how long it is good for.",
            "The server did not renew its staple, or an attacker replays one from better days.",
            "Renew the staple well before its nextUpdate.",
        ),
    ),
    "ocsp-critical-extension": (
        "RFC 5280 section 4.2, RFC 6960 section 4.4",
        None,
        Explanation(
            "ocsp critical extension",
            "The OCSP response has a critical extension that nobody here understands.",
            "The responder uses something new, or something of its own.",
            "Have the responder leave it out, or not mark it as critical.",
        ),
    ),
    "ocsp-unknown": (
        f"{_OCSP} 2.2",
        None,
        Explanation(
            "ocsp unknown",
            "The responder says that it does not know this certificate.",
            "The CA never issued it, or its responder has not heard of it yet.",
            "Ask the CA; a certificate that it did not issue is forged.",
        ),
    ),
}
"""Rule, X509 number and explanation by identifier; None where OpenSSL's number explains it."""
