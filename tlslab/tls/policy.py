"""What an end of a TLS connection insists on and offers, as data.

A policy is made once and used for many connections: OpenSSL's context is built once for each policy
object. Knows nothing of OpenSSL's API or of streams; names are OpenSSL's, for there is no other
common spelling.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tlslab.errors import UsageError
from tlslab.pki import Credential, TrustStore
from tlslab.tls.judgement import Judge

MAX_PROTOCOL_NAME = 255  # bytes; its length is one byte on the wire (RFC 7301 section 3.1)


class Version(enum.Enum):
    """A version of TLS that is still in use (RFC 8996 retired those before)."""

    TLS_1_2 = "TLS 1.2"
    TLS_1_3 = "TLS 1.3"


class RetiredVersion(enum.Enum):
    """A version that RFC 8996 retired. OpenSSL speaks it where `ciphers` has `@SECLEVEL=0`."""

    TLS_1_0 = "TLS 1.0"
    TLS_1_1 = "TLS 1.1"


AnyVersion: TypeAlias = Version | RetiredVersion
"""A version of TLS that can be spoken here at all: this OpenSSL has no SSL any more."""


Staple: TypeAlias = bytes | Callable[[], bytes | None] | None
"""An OCSP response (DER), how to get the present one (asked at each connection), or none."""


@dataclass(frozen=True)
class ClientPolicy:
    """How a client connects. The defaults are those of a careful client.

    `trust` None means the operating system's roots, as OpenSSL finds them (SSL_CERT_FILE counts).
    `verify_chain` False accepts any certificate whatsoever as long as `verify_name` is content, and
    the other way round: both are mistakes that the lab shows, as is `require_close_notify` False,
    which takes a cut connection for a complete one. `ciphers` is OpenSSL's cipher list for TLS 1.2,
    `ciphersuites` a colon-separated list for TLS 1.3, `groups` the key exchange groups in order of
    preference; None leaves them to OpenSSL, which prefers X25519MLKEM768. `credential` is shown to
    servers that ask. With `ask_status` the server is asked to staple an OCSP response (RFC 6066
    section 8), which nobody but `judge` looks at; `judge` is the client's own check of the server,
    after OpenSSL's. `fallback_scsv` tells the server that this is a second attempt, with less than
    the client could do (RFC 7507). With `partial_chain` every certificate in `trust` is believed as
    it is, intermediates without their root too.
    """

    trust: TrustStore | None = None
    verify_chain: bool = True
    verify_name: bool = True
    minimum: AnyVersion = Version.TLS_1_2
    maximum: AnyVersion = Version.TLS_1_3
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: tuple[str, ...] | None = None
    alpn: tuple[str, ...] = ()
    credential: Credential | None = None
    require_close_notify: bool = True
    ask_status: bool = False
    judge: Judge | None = None
    fallback_scsv: bool = False
    partial_chain: bool = False

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class ServerPolicy:
    """How a server answers. Fields that `ClientPolicy` has too mean the same here.

    `client_certificate` says whether clients must, may or cannot prove who they are; their chains
    must lead to `client_trust`. `alpn` is in order of preference; a client that offers only other
    protocols is refused (RFC 7301 section 3.2), one that offers none is served. `staple` is for
    clients that ask for an OCSP response. `early_data` is how many bytes a client that resumes may
    send with its first flight (0-RTT); OpenSSL takes each ticket only once for that, unless
    `single_use_tickets` is false: whoever recorded the flight can then send it again (RFC 8446
    section 8). With `allow_renegotiation` a TLS 1.2 client may begin new handshakes on the same
    connection, as many as it likes; otherwise they are refused with no_renegotiation (RFC 5246
    section 7.2.2).
    """

    credential: Credential
    client_trust: TrustStore | None = None
    client_certificate: Literal["none", "optional", "required"] = "none"
    minimum: AnyVersion = Version.TLS_1_2
    maximum: AnyVersion = Version.TLS_1_3
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: tuple[str, ...] | None = None
    alpn: tuple[str, ...] = ()
    require_close_notify: bool = True
    staple: Staple = None
    early_data: int = 0
    single_use_tickets: bool = True
    allow_renegotiation: bool = False

    def __post_init__(self) -> None:
        _check(self)
        if self.client_certificate not in ("none", "optional", "required"):
            raise UsageError(
                f"client_certificate cannot be {self.client_certificate!r}",
                hint="use 'none', 'optional' or 'required'",
            )
        if self.client_certificate != "none" and self.client_trust is None:
            raise UsageError(
                "client certificates are asked for, but no root is trusted to vouch for them",
                hint="set client_trust",
            )


ServerChoice: TypeAlias = ServerPolicy | Callable[[str | None], ServerPolicy | None]
"""One policy, or how to choose one by the server name that the client asks for.

The name is None if the client sends none; an answer of None refuses it with unrecognized_name.
"""


def _check(policy: ClientPolicy | ServerPolicy) -> None:
    if policy.minimum.value > policy.maximum.value:
        raise UsageError(
            f"no version lies between {policy.minimum.value} and {policy.maximum.value}",
            hint="minimum and maximum are the wrong way round",
        )
    for protocol in policy.alpn:
        if not 0 < len(protocol.encode()) <= MAX_PROTOCOL_NAME:
            raise UsageError(
                f"{protocol[:32]!r} cannot be a protocol name",
                hint=f"ALPN names have 1 to {MAX_PROTOCOL_NAME} bytes",
            )
