"""Signed certificate timestamps: a log's promise that it will publish a certificate (RFC 6962).

How the signed bytes are laid out, how timestamps are embedded in a certificate, and how each is
verified, which no library for Python does. Knows nothing of logs but their public keys; what makes
timestamps is in `ct_log`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp

from tlslab.errors import PKIError
from tlslab.pki import der

POISON: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.3")  # RFC 6962 section 3.1
SCT_LIST: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962 section 3.3

MAX_VECTOR: Final = 2**16 - 1  # bytes; the lists and each timestamp have lengths of two bytes

_V1: Final = 0
_CERTIFICATE_TIMESTAMP: Final = 0
_X509_ENTRY: Final = 0
_PRECERT_ENTRY: Final = 1
_SHA256: Final = 4  # RFC 5246 section 7.4.1.4.1
_ECDSA: Final = 3

LogKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class SCTFault(enum.StrEnum):
    """Why a timestamp proves nothing (RFC 6962 section 5.2)."""

    UNKNOWN_LOG = "unknown-log"
    BAD_SIGNATURE = "bad-signature"  # also if it is about another certificate
    FUTURE = "future"


class SCTRefused(PKIError):
    """A timestamp that proves nothing; `fault` says why."""

    def __init__(self, fault: SCTFault, message: str) -> None:
        super().__init__(message, hint="the certificate may never have been published")
        self.fault = fault


@dataclass(frozen=True)
class SCT:
    """A timestamp as a log issues it; `signature` is over `signed_bytes`, ECDSA with SHA-256."""

    log_id: bytes
    timestamp: datetime
    signature: bytes
    extensions: bytes = b""

    @property
    def encoded(self) -> bytes:
        """The SignedCertificateTimestamp of RFC 6962 section 3.2, as certificates carry it."""
        return b"".join(
            (
                bytes((_V1,)),
                self.log_id,
                _milliseconds(self.timestamp).to_bytes(8),
                _vector(self.extensions),
                bytes((_SHA256, _ECDSA)),
                _vector(self.signature),
            )
        )


def log_id(key: LogKey) -> bytes:
    """A log's name: the SHA-256 of its public key (RFC 6962 section 3.2)."""
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def precertificate_entry(tbs: bytes, issuer: x509.Certificate) -> bytes:
    """What a log signs of a certificate to come: who issues it, and all it says but the poison.

    `tbs` is the TBSCertificate without poison and without timestamps (RFC 6962 section 3.2).
    """
    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _PRECERT_ENTRY.to_bytes(2) + hashlib.sha256(spki).digest() + _vector(tbs, 3)


def certificate_entry(certificate: bytes) -> bytes:
    """What a log signs of a finished certificate (DER)."""
    return _X509_ENTRY.to_bytes(2) + _vector(certificate, 3)


def signed_bytes(entry: bytes, timestamp: datetime, extensions: bytes = b"") -> bytes:
    """The bytes under a timestamp's signature (RFC 6962 section 3.2)."""
    head = bytes((_V1, _CERTIFICATE_TIMESTAMP)) + _milliseconds(timestamp).to_bytes(8)
    return head + entry + _vector(extensions)


def sct_list_extension(scts: Iterable[SCT]) -> x509.UnrecognizedExtension:
    """Timestamps as the extension that carries them in a certificate (RFC 6962 section 3.3)."""
    serialized = _vector(b"".join(_vector(sct.encoded) for sct in scts))
    return x509.UnrecognizedExtension(SCT_LIST, der.octet_string(serialized))


def poison_extension() -> x509.UnrecognizedExtension:
    """What makes a precertificate useless as a certificate; it has to be critical (section 3.1)."""
    return x509.UnrecognizedExtension(POISON, der.NULL)


def without_extension(tbs: bytes, oid: x509.ObjectIdentifier) -> bytes:
    """A TBSCertificate (DER) without one kind of extension; PKIError if it is not one."""
    wanted = der.object_identifier(oid.dotted_string)
    fields = der.parts(der.contents(tbs))
    if not fields or fields[-1][0] != der.tagged(3)[0]:
        return tbs
    extensions = der.parts(der.contents(der.contents(fields[-1])))
    kept = [
        extension for extension in extensions if der.parts(der.contents(extension))[0] != wanted
    ]
    last = [der.tagged(3, der.sequence(*kept))] if kept else []
    return der.sequence(*fields[:-1], *last)


def embedded_scts(certificate: x509.Certificate) -> tuple[SignedCertificateTimestamp, ...]:
    """The timestamps in a certificate, in its order; raises PKIError if they cannot be read."""
    kind = x509.PrecertificateSignedCertificateTimestamps
    try:
        return tuple(certificate.extensions.get_extension_for_class(kind).value)
    except x509.ExtensionNotFound:
        return ()
    except (ValueError, x509.DuplicateExtension) as error:
        raise PKIError("the certificate's timestamps cannot be read") from error


def verify_sct(
    sct: SignedCertificateTimestamp,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    log_key: LogKey,
    *,
    now: datetime | None = None,
) -> None:
    """Check that the log with `log_key` has promised to publish `certificate`.

    `sct` is one that is embedded in the certificate, or one that came beside it (in the handshake
    or a stapled OCSP response); `issuer` is who issued the certificate; `now` is aware, by default
    the system's. Raises SCTRefused (RFC 6962 section 5.2: a client must refuse a timestamp of the
    future) and PKIError for a certificate that cannot be read.
    """
    now = datetime.now(UTC) if now is None else now
    if sct.log_id != log_id(log_key):
        raise SCTRefused(SCTFault.UNKNOWN_LOG, "the timestamp is another log's")
    moment = sct.timestamp if sct.timestamp.tzinfo else sct.timestamp.replace(tzinfo=UTC)
    signed = signed_bytes(_entry(sct, certificate, issuer), moment, sct.extension_bytes)
    try:
        _check_signature(log_key, sct, signed)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise SCTRefused(
            SCTFault.BAD_SIGNATURE, "the log did not sign this timestamp of this certificate"
        ) from error
    if moment > now:
        raise SCTRefused(SCTFault.FUTURE, "the timestamp is of the future")


def sct_verdicts(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    logs: Mapping[bytes, LogKey],
    *,
    now: datetime | None = None,
) -> tuple[SCTFault | None, ...]:
    """Each embedded timestamp's fault, None for a good one; `logs` are known, by `log_id`."""
    verdicts: list[SCTFault | None] = []
    for sct in embedded_scts(certificate):
        key = logs.get(sct.log_id)
        if key is None:
            verdicts.append(SCTFault.UNKNOWN_LOG)
            continue
        try:
            verify_sct(sct, certificate, issuer, key, now=now)
        except SCTRefused as refused:
            verdicts.append(refused.fault)
        else:
            verdicts.append(None)
    return tuple(verdicts)


def _entry(
    sct: SignedCertificateTimestamp, certificate: x509.Certificate, issuer: x509.Certificate
) -> bytes:
    if sct.entry_type is LogEntryType.X509_CERTIFICATE:
        return certificate_entry(certificate.public_bytes(Encoding.DER))
    tbs = without_extension(certificate.tbs_certificate_bytes, SCT_LIST)
    return precertificate_entry(tbs, issuer)


def _check_signature(key: LogKey, sct: SignedCertificateTimestamp, signed: bytes) -> None:
    if not isinstance(sct.signature_hash_algorithm, hashes.SHA256):
        raise ValueError("a log signs with SHA-256 (RFC 6962 section 2.1.4)")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(sct.signature, signed, ec.ECDSA(hashes.SHA256()))
    else:
        key.verify(sct.signature, signed, padding.PKCS1v15(), hashes.SHA256())


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _milliseconds(moment: datetime) -> int:
    # Whole numbers only: a float of seconds cannot hold every millisecond.
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


def _vector(data: bytes, length_bytes: int = 2) -> bytes:
    """Bytes after their length, as TLS writes vectors (RFC 8446 section 3.4)."""
    return len(data).to_bytes(length_bytes) + data
