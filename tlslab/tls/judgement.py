"""What a client's own check of a server is shown, and how it objects.

OpenSSL checks chain and name; whether a certificate was revoked, is pinned or publicly logged is
for the application to judge. It does so while the handshake waits, so that a refusal comes before
any application data, and with an alert. Knows nothing of what is checked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography import x509

from tlslab.errors import TLSError
from tlslab.pki import Explanation

APPLICATION_VERIFICATION: Final = 50  # X509_V_ERR_APPLICATION_VERIFICATION in <openssl/x509_vfy.h>


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server has shown by the time that it is judged.

    `server_name` is whom the client wanted (A-labels or an IP address), `chain` what OpenSSL made
    of the certificates, leaf first and with the root if it found one. `staple` is the OCSP response
    that came with them (DER, not checked by anybody); None if there was none, it was not asked for,
    or OpenSSL could not read it.
    """

    server_name: str
    chain: tuple[x509.Certificate, ...]
    staple: bytes | None


class Objection(TLSError):
    """Raised by a judge: the connection shall not come about, and why.

    `x509_number` is the X509_V_ERR number that says it best, from which OpenSSL derives the alert;
    `depth` is that of the certificate at fault. An objection `by_staple` is one to the OCSP
    response or its absence, which has an alert of its own (RFC 6066 section 8). `explanation` is
    the judge's, where it has a better one than that of the number.
    """

    def __init__(
        self,
        reason: str,
        *,
        x509_number: int = APPLICATION_VERIFICATION,
        depth: int = 0,
        by_staple: bool = False,
        explanation: Explanation | None = None,
    ) -> None:
        super().__init__(reason, hint=None if explanation is None else explanation.fix)
        self.x509_number = x509_number
        self.depth = depth
        self.by_staple = by_staple
        self.explanation = explanation


Judge: TypeAlias = Callable[[Shown], Awaitable[None]]
"""A client's own check; raises `Objection` to refuse. It may wait: the handshake's deadline holds.

In a full handshake it is asked once, after OpenSSL has accepted chain and name; a resumed session
is not judged again.
"""
