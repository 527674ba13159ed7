"""What a certificate says, for people: facts as text, and what they mean in sentences.

Takes any X.509 certificate, also hostile and malformed ones: text is made printable, and what
cannot be read says so. Judges nothing: verification is OpenSSL's part and that of
`cryptography.x509.verification`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID

from tlslab.pki.credential import public_key_of
from tlslab.pki.keys import describe_public_key
from tlslab.pki.names import readable
from tlslab.pki.profile import KEY_USAGES

MAX_FACT = 4000  # characters; a certificate with 10,000 names must not fill the screen


def printable(text: str) -> str:
    """`text` with every control, bidi and other invisible character written as an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


_PARSER_STATE = re.compile(r"(error parsing asn1 value: )?ParseError \{(.*\}|.*$)", re.DOTALL)


def without_parser_state(text: str) -> str:
    """`text` for people, if it is of the parser of cryptography: that dumps its state into it."""
    return _PARSER_STATE.sub("it is not valid DER", text)


def certificate_facts(certificate: x509.Certificate) -> dict[str, str]:
    """What `certificate` says, one printable text each; a fact that it lacks is left out.

    The keys are stable identifiers: subject, issuer, names, serial, not_before, not_after, key,
    signature, basic_constraints, key_usage, extended_key_usage, subject_key_id, authority_key_id,
    crl, ocsp, issuer_certificate, other_extensions, fingerprint_sha256. Never raises.
    """
    found: dict[str, str | None] = {}
    for name, read in _FACTS.items():
        found[name] = _guarded(read, certificate)
    extensions: x509.Extensions | None = None
    try:
        extensions = certificate.extensions
    except Exception as error:  # the parser has many errors, and each is only a fact here
        found["extensions"] = _unreadable(error)
    if extensions is not None:
        for name, read in _EXTENSION_FACTS.items():
            found[name] = _guarded(read, extensions)
    found["fingerprint_sha256"] = _hex(certificate.fingerprint(hashes.SHA256()))
    return {
        name: printable(text if len(text) <= MAX_FACT else f"{text[:MAX_FACT]} … (cut)")
        for name, text in found.items()
        if text is not None
    }


Reader: TypeAlias = Callable[[Any], str | None]


def _guarded(read: Reader, source: object) -> str | None:
    try:
        return read(source)
    except x509.ExtensionNotFound:
        return None
    except Exception as error:  # as above: a malformed field is a fact, not our failure
        return _unreadable(error)


def _unreadable(error: Exception) -> str:
    return f"unreadable ({without_parser_state(str(error))})"


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or "(empty)"


def _hex(data: bytes) -> str:
    return data.hex(":").upper()


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _signature(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid
    name = getattr(oid, "_name", "Unknown OID")
    return oid.dotted_string if name == "Unknown OID" else str(name)


_FACTS: dict[str, Reader] = {
    "subject": lambda certificate: _name(certificate.subject),
    "issuer": lambda certificate: _name(certificate.issuer),
    "serial": lambda certificate: f"{certificate.serial_number:x}",
    "not_before": lambda certificate: _date(certificate.not_valid_before_utc),
    "not_after": lambda certificate: _date(certificate.not_valid_after_utc),
    "key": lambda certificate: describe_public_key(public_key_of(certificate)),
    "signature": _signature,
}


def _general_name(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName():
            return readable(name.value)
        case x509.IPAddress():
            return str(name.value)
        case x509.RFC822Name():
            return f"email:{name.value}"
        case x509.UniformResourceIdentifier():
            return name.value
        case x509.DirectoryName():
            return _name(name.value)
    return type(name).__name__


def _names(extensions: x509.Extensions) -> str:
    value = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return ", ".join(map(_general_name, value))


def _basic_constraints(extensions: x509.Extensions) -> str:
    value = extensions.get_extension_for_class(x509.BasicConstraints).value
    if not value.ca:
        return "not a CA"
    return "CA" if value.path_length is None else f"CA, path length {value.path_length}"


def _key_usage(extensions: x509.Extensions) -> str:
    value = extensions.get_extension_for_class(x509.KeyUsage).value
    return ", ".join(usage.replace("_", " ") for usage in KEY_USAGES if getattr(value, usage))


def _extended_key_usage(extensions: x509.Extensions) -> str:
    value = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return ", ".join(_oid_text(oid) for oid in value)


def _oid_text(oid: x509.ObjectIdentifier) -> str:
    name = getattr(oid, "_name", "Unknown OID")
    return oid.dotted_string if name == "Unknown OID" else f"{name} ({oid.dotted_string})"


def _subject_key_id(extensions: x509.Extensions) -> str:
    return _hex(extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)


def _authority_key_id(extensions: x509.Extensions) -> str | None:
    value = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return None if value.key_identifier is None else _hex(value.key_identifier)


def _crl(extensions: x509.Extensions) -> str | None:
    points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    names = [name for point in points for name in point.full_name or ()]
    return ", ".join(map(_general_name, names)) or None


def _access(method: x509.ObjectIdentifier) -> Reader:
    def read(extensions: x509.Extensions) -> str | None:
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        found = [entry.access_location for entry in access if entry.access_method == method]
        return ", ".join(map(_general_name, found)) or None

    return read


_TOLD = (
    x509.SubjectAlternativeName,
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.CRLDistributionPoints,
    x509.AuthorityInformationAccess,
)


def _others(extensions: x509.Extensions) -> str | None:
    return (
        ", ".join(
            _oid_text(extension.oid) + (" critical" if extension.critical else "")
            for extension in extensions
            if not isinstance(extension.value, _TOLD)
        )
        or None
    )


_EXTENSION_FACTS: dict[str, Reader] = {
    "names": _names,
    "basic_constraints": _basic_constraints,
    "key_usage": _key_usage,
    "extended_key_usage": _extended_key_usage,
    "subject_key_id": _subject_key_id,
    "authority_key_id": _authority_key_id,
    "crl": _crl,
    "ocsp": _access(AuthorityInformationAccessOID.OCSP),
    "issuer_certificate": _access(AuthorityInformationAccessOID.CA_ISSUERS),
    "other_extensions": _others,
}
