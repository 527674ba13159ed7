"""A small log of Certificate Transparency: it takes certificates, promises, and proves (RFC 6962).

Entries hang in a Merkle tree, so that a signed tree head commits the log to all of them: it can
prove that one is in (an audit path), and a second head of the same size with another root convicts
it of showing different people different logs. In memory; knows nothing of HTTP or of what clients
demand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tlslab.errors import PKIError
from tlslab.pki.sct import (
    POISON,
    SCT,
    log_id,
    precertificate_entry,
    signed_bytes,
    without_extension,
)

_V1: Final = 0
_TREE_HASH: Final = 1  # SignatureType of RFC 6962 section 3.2

# RFC 6962 section 2.1: leaves and nodes are told apart, or a node could be passed off as an entry.
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


@dataclass(frozen=True)
class TreeHead:
    """What a log said of itself at a time: how many entries it has and the root over them."""

    size: int
    root: bytes
    timestamp: datetime
    signature: bytes

    def check(self, key: ec.EllipticCurvePublicKey) -> None:
        """Raise PKIError unless the log with `key` signed it (RFC 6962 section 3.5)."""
        try:
            key.verify(
                self.signature,
                _head_bytes(self.size, self.root, self.timestamp),
                ec.ECDSA(hashes.SHA256()),
            )
        except InvalidSignature as error:
            raise PKIError("the log did not sign this tree head") from error


@dataclass
class CTLog:
    """A log with its key. `entries` are the leaves of its tree, oldest first."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )
    entries: list[bytes] = field(default_factory=list, repr=False)

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key that clients know the log by."""
        return self.key.public_key()

    @property
    def id(self) -> bytes:
        """The log's name in its timestamps."""
        return log_id(self.public_key)

    def submit(
        self,
        precertificate: x509.Certificate,
        issuer: x509.Certificate,
        *,
        now: datetime | None = None,
    ) -> SCT:
        """Take a precertificate and promise to publish it; PKIError if it is none.

        Whether `issuer` is a CA that the log knows is not its business here.
        """
        tbs = precertificate.tbs_certificate_bytes
        bare = without_extension(tbs, POISON)
        if bare == tbs:
            raise PKIError("not a precertificate: it lacks the poison (RFC 6962 section 3.1)")
        try:
            precertificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise PKIError("the precertificate was not signed by its issuer") from error
        return self.promise(bare, issuer, now=now)

    def promise(self, tbs: bytes, issuer: x509.Certificate, *, now: datetime | None = None) -> SCT:
        """Add a TBSCertificate (without poison) and sign a timestamp for it, whatever it is."""
        moment = _whole_milliseconds(datetime.now(UTC) if now is None else now)
        entry = precertificate_entry(tbs, issuer)
        signed = signed_bytes(entry, moment)
        self.entries.append(signed)  # the leaf of section 3.4 is laid out alike, octet for octet
        return SCT(self.id, moment, self.key.sign(signed, ec.ECDSA(hashes.SHA256())))

    def head(self, *, now: datetime | None = None) -> TreeHead:
        """The log's signed tree head as of `now`."""
        moment = _whole_milliseconds(datetime.now(UTC) if now is None else now)
        root, size = tree_root(self.entries), len(self.entries)
        signed = _head_bytes(size, root, moment)
        return TreeHead(size, root, moment, self.key.sign(signed, ec.ECDSA(hashes.SHA256())))

    def audit_path(self, index: int) -> list[bytes]:
        """The hashes that lead from entry `index` to the root (RFC 6962 section 2.1.1)."""
        return _path(index, self.entries)


def tree_root(entries: list[bytes]) -> bytes:
    """The Merkle tree hash over `entries` (RFC 6962 section 2.1)."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(_LEAF + entries[0]).digest()
    split = _split(len(entries))
    return _node(tree_root(entries[:split]), tree_root(entries[split:]))


def root_from_path(entry: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an audit path leads to; PKIError if no path of a tree of `size` looks so."""
    if not 0 <= index < size:
        raise PKIError("there is no such entry in a tree of that size")
    if size == 1:
        if path:
            raise PKIError("the audit path is too long")
        return hashlib.sha256(_LEAF + entry).digest()
    if not path:
        raise PKIError("the audit path is too short")
    split = _split(size)
    if index < split:
        return _node(root_from_path(entry, index, split, path[:-1]), path[-1])
    return _node(path[-1], root_from_path(entry, index - split, size - split, path[:-1]))


def _path(index: int, entries: list[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    split = _split(len(entries))
    if index < split:
        return [*_path(index, entries[:split]), tree_root(entries[split:])]
    return [*_path(index - split, entries[split:]), tree_root(entries[:split])]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _head_bytes(size: int, root: bytes, timestamp: datetime) -> bytes:
    head = bytes((_V1, _TREE_HASH)) + _milliseconds_bytes(timestamp)
    return head + size.to_bytes(8) + root


def _milliseconds_bytes(moment: datetime) -> bytes:
    # The layout of section 3.2 has the time right behind version and type, as here.
    return signed_bytes(b"", moment)[2:10]


def _whole_milliseconds(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
