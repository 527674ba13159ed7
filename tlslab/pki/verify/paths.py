"""The paths from a leaf to a trust anchor (RFC 4158): found, not judged.

A step needs the issuer's name and its signature, nothing else; a verifier has to confirm the path.
Graphs may have cycles, hundreds of certificates of one name and worse, so the search has a budget:
what an attacker sends decides neither how long it takes nor how much it finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from tlslab.pki.credential import Chain
from tlslab.pki.verify.malformed import MALFORMED

MAX_SIGNATURES: Final = 100
"""Signatures checked for all paths together; Go's crypto/x509 stops at the same number."""

MAX_PATHS: Final = 16
"""Paths handed out. Cross-signed CAs make two or three."""

MAX_LENGTH: Final = 16
"""Certificates on a path, leaf and anchor included. Real ones have three or four."""

MAX_STEPS: Final = 2000
"""Candidates looked at, most of which differ in name and cost nothing."""


class PathSearch:
    """One search, with its budget. `exhausted` says whether that ended it."""

    def __init__(self, sent: Chain, anchors: Chain) -> None:
        self._sent = tuple(dict.fromkeys(sent))
        self._anchors = frozenset(anchors)
        self._by_subject: dict[x509.Name, list[x509.Certificate]] = {}
        for certificate in (*dict.fromkeys(anchors), *self._sent):
            subject = _subject(certificate)
            if subject is not None:
                known = self._by_subject.setdefault(subject, [])
                if certificate not in known:
                    known.append(certificate)
        self._signed: dict[tuple[x509.Certificate, x509.Certificate], bool] = {}
        self._steps = 0
        self.exhausted = False

    def paths(self, leaf: x509.Certificate) -> Iterator[Chain]:
        """Paths that start with `leaf` and end with an anchor; anchors are tried first."""
        for count, path in enumerate(self._from((leaf,))):
            if count == MAX_PATHS:
                self.exhausted = True
                return
            yield path

    def _from(self, path: Chain) -> Iterator[Chain]:
        last = path[-1]
        if last in self._anchors:
            yield path
            return
        if len(path) == MAX_LENGTH or self.exhausted:
            return
        for issuer in self._issuers(last):
            self._steps += 1
            if self._steps > MAX_STEPS:
                self.exhausted = True
            if self.exhausted:
                return
            if issuer not in path and self._is_signed_by(last, issuer):
                yield from self._from((*path, issuer))

    def _issuers(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        """Who could have issued it: anchors first, and first whose key identifier fits."""
        try:
            named = self._by_subject.get(certificate.issuer, [])
        except MALFORMED:
            return []
        wanted = _key_identifier(certificate, x509.AuthorityKeyIdentifier)
        return sorted(
            named,
            key=lambda issuer: (
                issuer not in self._anchors,
                wanted != _key_identifier(issuer, x509.SubjectKeyIdentifier),
            ),
        )

    def _is_signed_by(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        pair = (certificate, issuer)
        if pair not in self._signed:
            if len(self._signed) == MAX_SIGNATURES:
                self.exhausted = True
                return False
            self._signed[pair] = _may_be_signed_by(certificate, issuer)
        return self._signed[pair]


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` has the name and the key with which `certificate` was signed."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *MALFORMED):
        return False
    return True


def _may_be_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Like `is_signed_by`, but what cryptography cannot check (SHA-1, say) is left to OpenSSL."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except MALFORMED:  # an algorithm that it lacks is told as ValueError; the names are equal
        return True
    return True


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are the same name (RFC 5280 section 6.1); not if unreadable."""
    try:
        return certificate.subject == certificate.issuer
    except MALFORMED:
        return False


def _subject(certificate: x509.Certificate) -> x509.Name | None:
    try:
        return certificate.subject
    except MALFORMED:
        return None


def _key_identifier(
    certificate: x509.Certificate,
    kind: type[x509.AuthorityKeyIdentifier] | type[x509.SubjectKeyIdentifier],
) -> bytes | None:
    try:
        value = certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return None
    if isinstance(value, x509.SubjectKeyIdentifier):
        return value.digest
    return value.key_identifier
