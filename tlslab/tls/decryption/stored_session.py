"""A session as OpenSSL's programs store it: DER, or PEM (`openssl s_client -sess_out`).

In TLS 1.2 it holds the master secret of every connection that resumes it, and of the one that
began it.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final

from tlslab.errors import PKIError, UsageError
from tlslab.pki import der

_PEM: Final = re.compile(
    rb"-----BEGIN (SSL SESSION PARAMETERS)-----([A-Za-z0-9+/=\s]+)-----END \1-----"
)

_TICKET: Final = 0xAA  # [10] EXPLICIT


@dataclass(frozen=True, slots=True)
class StoredSession:
    """What an SSL_SESSION of OpenSSL holds (ssl/ssl_asn1.c): version, names, master secret.

    With TLS 1.3 `master_secret` is the resumption secret, which opens no recorded connection.
    """

    version: int
    session_id: bytes
    ticket: bytes
    master_secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> StoredSession:
        """Read DER or PEM. Raises UsageError."""
        pem = _PEM.search(data)
        try:
            fields = der.parts(der.contents(base64.b64decode(pem[2]) if pem else data))
            version, _, session_id, secret = map(der.contents, fields[1:5])
            tickets = [der.contents(der.contents(one)) for one in fields[5:] if one[0] == _TICKET]
        except (PKIError, ValueError):
            raise UsageError(
                "this is no stored TLS session",
                hint="give what `openssl s_client -sess_out` writes",
            ) from None
        return cls(int.from_bytes(version), session_id, tickets[0] if tickets else b"", secret)

    @property
    def names(self) -> tuple[bytes, ...]:
        """By what a client asks to resume it: ticket and session id, as far as there are any."""
        return tuple(name for name in (self.ticket, self.session_id) if name)
