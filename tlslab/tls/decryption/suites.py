"""What the name of a cipher suite says: key exchange, cipher, and the hashes to derive and check.

A suite's IANA name is a sentence (RFC 5246 appendix C): `TLS_` key exchange `_WITH_` cipher `_`
hash; TLS 1.3 leaves the key exchange out (RFC 8446 appendix B.4). So names are read, not listed
again; what a name says but this package cannot do is refused.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.hazmat.primitives import hashes

from tlslab.tls.decryption.opened import CannotDecrypt
from tlslab.tls.registry import cipher_suite_name


class Mode(enum.Enum):
    """How a cipher protects records."""

    GCM = "GCM"
    CCM = "CCM"
    CCM_8 = "CCM_8"
    CHACHA20 = "POLY1305"
    CBC = "CBC"


@dataclass(frozen=True)
class Suite:
    """One cipher suite.

    `key_exchange` is as in the name (`"RSA"`, `"ECDHE_ECDSA"`, …), empty for TLS 1.3. `hash` is the
    one of key derivation; `mac` the one of HMAC where the cipher itself authenticates nothing.
    """

    name: str
    key_exchange: str
    mode: Mode
    key_size: int
    hash: hashes.HashAlgorithm
    mac: hashes.HashAlgorithm | None

    @property
    def static_rsa(self) -> bool:
        """Whether the client encrypts the secret to the server's key (RFC 5246 section 7.4.7.1)."""
        return self.key_exchange == "RSA"


_NAME: Final = re.compile(
    r"TLS_(?:(?P<exchange>\w+)_WITH_)?(?:"
    r"AES_(?P<bits>128|256)_(?P<mode>GCM|CCM_8|CCM|CBC)|CHACHA20_(?P<chacha>POLY1305))"
    r"(?:_(?P<hash>SHA384|SHA256|SHA))?"
)
_CHACHA20_KEY: Final = 32  # bytes, RFC 8439 section 2.3


@cache
def suite_of(number: int) -> Suite:
    """The suite of an IANA number. Raises `CannotDecrypt` for a cipher not known here."""
    name = cipher_suite_name(number)
    match = _NAME.fullmatch(name)
    if match is None:
        raise CannotDecrypt(f"records protected by {name} cannot be opened here")
    mode = Mode(match["mode"] or match["chacha"])
    mac: hashes.HashAlgorithm | None = None
    if mode is Mode.CBC:
        mac = {"SHA": hashes.SHA1(), "SHA256": hashes.SHA256(), "SHA384": hashes.SHA384()}[  # noqa: S303
            match["hash"]
        ]
    return Suite(
        name=name,
        key_exchange=match["exchange"] or "",
        mode=mode,
        key_size=int(match["bits"]) // 8 if match["bits"] else _CHACHA20_KEY,
        # RFC 5246 section 5: SHA-256 unless the suite says otherwise; SHA-1 is for HMAC only.
        hash=hashes.SHA384() if match["hash"] == "SHA384" else hashes.SHA256(),
        mac=mac,
    )
