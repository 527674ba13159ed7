"""Rows of the store's tables and what they stand for: one encoding for each, sealed and bound.

    ObjectRecord   a version of an object, or a delete marker
    PartRecord     a part of an upload, and of the object it became
    UploadRecord   an upload under way
    bucket rows    a Bucket

A record's columns in the clear are bound to its facts (see sealed.py). Nothing here executes SQL.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from sqlalchemy import Row

from tlslab.errors import IntegrityError
from tlslab.store.envelopes import Envelope
from tlslab.store.layout import Layout
from tlslab.store.model import (
    Attributes,
    Bucket,
    Checksum,
    ChecksumType,
    DefaultEncryption,
    ObjectInfo,
    PartInfo,
    Upload,
)
from tlslab.store.sealed import SealedFacts, to_bytes, to_text
from tlslab.store.times import microseconds, moment

UID_BYTES = 24


def new_uid(now: int) -> bytes:
    """A fresh id of an object or upload: ordered by time (microseconds), otherwise random."""
    return now.to_bytes(8, "big") + os.urandom(UID_BYTES - 8)


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """A version of an object. `rank` is below that of older ones; times are microseconds."""

    bucket: str
    key: str
    version: str
    rank: int
    uid: bytes
    marker: bool
    size: int
    modified: int
    etag: str = ""
    attributes: Attributes = field(default_factory=Attributes)
    tags: Mapping[str, str] = field(default_factory=dict)
    checksum: Checksum | None = None
    envelope: Envelope = field(default_factory=lambda: Envelope(None))
    piece: bytes = b""
    layout: Layout | None = None
    blob: str | None = None
    inline: bytes | None = field(default=None, repr=False)

    def values(self, facts: SealedFacts) -> dict[str, Any]:
        """The row, without its bucket's number and `current`."""
        sealed: dict[str, Any] = {}
        if not self.marker:
            sealed = {
                "etag": self.etag,
                "attributes": _attributes_to_json(self.attributes),
                "tags": dict(self.tags),
                "checksum": _checksum_to_json(self.checksum),
                "envelope": self.envelope.to_json(),
                "piece": to_text(self.piece),
                "layout": self.layout and self.layout.to_json(),
            }
            sealed = {name: value for name, value in sealed.items() if value}
        return {
            "key": self.key.encode(),
            "rank": self.rank,
            "version": self.version,
            "uid": self.uid,
            "marker": self.marker,
            "size": self.size,
            "modified": self.modified,
            "blob": self.blob,
            "inline": self.inline,
            "facts": facts.seal(sealed, _OBJECT, self._bound()),
        }

    @classmethod
    def open(cls, row: Row[Any], bucket: str, facts: SealedFacts) -> ObjectRecord:
        """A record from its row; `inline` need not be among its columns. Raises IntegrityError."""
        bare = cls(
            bucket,
            row.key.decode(),
            row.version,
            row.rank,
            row.uid,
            row.marker,
            row.size,
            row.modified,
            blob=row.blob,
            inline=getattr(row, "inline", None),
        )
        sealed = facts.open(row.facts, _OBJECT, bare._bound())
        if bare.marker:
            return bare
        layout = sealed.get("layout")
        return replace(
            bare,
            etag=sealed.get("etag", ""),
            attributes=_attributes_from_json(sealed.get("attributes", {})),
            tags=sealed.get("tags", {}),
            checksum=_checksum_from_json(sealed.get("checksum")),
            envelope=Envelope.from_json(sealed.get("envelope", {})),
            piece=to_bytes(sealed.get("piece", "")),
            layout=None if layout is None else Layout.from_json(layout),
        )

    def info(
        self,
        *,
        latest: bool,
        customer_key_md5: str | None = None,
        parts: tuple[PartInfo, ...] = (),
    ) -> ObjectInfo:
        """What callers are told."""
        return ObjectInfo(
            bucket=self.bucket,
            key=self.key,
            version_id=self.version,
            is_latest=latest,
            delete_marker=self.marker,
            size=self.size,
            modified=moment(self.modified),
            etag=self.etag,
            attributes=self.attributes,
            tag_count=len(self.tags),
            checksum=self.checksum,
            encryption=self.envelope.facts(customer_key_md5),
            part_count=None if self.layout is None else self.layout.count,
            parts=parts,
        )

    def _bound(self) -> dict[str, str]:
        return {
            "bucket": self.bucket,
            "key": self.key,
            "version": self.version,
            "rank": str(self.rank),
            "uid": self.uid.hex(),
            "marker": str(self.marker),
            "size": str(self.size),
            "modified": str(self.modified),
            "blob": self.blob or "",
        }


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part: `uid` is its upload's, and later its object's."""

    uid: bytes
    number: int
    piece: bytes
    size: int
    modified: int
    etag: str
    checksum: Checksum | None = None
    blob: str | None = None
    inline: bytes | None = field(default=None, repr=False)

    def values(self, facts: SealedFacts) -> dict[str, Any]:
        """The row."""
        sealed = {"etag": self.etag, "checksum": _checksum_to_json(self.checksum)}
        return {
            "uid": self.uid,
            "number": self.number,
            "piece": self.piece,
            "size": self.size,
            "modified": self.modified,
            "blob": self.blob,
            "inline": self.inline,
            "facts": facts.seal(sealed, _PART, self._bound()),
        }

    @classmethod
    def open(cls, row: Row[Any], facts: SealedFacts) -> PartRecord:
        """A record from its row; `inline` need not be among its columns. Raises IntegrityError."""
        bare = cls(
            row.uid,
            row.number,
            row.piece,
            row.size,
            row.modified,
            "",
            blob=row.blob,
            inline=getattr(row, "inline", None),
        )
        sealed = facts.open(row.facts, _PART, bare._bound())
        checksum = _checksum_from_json(sealed.get("checksum"))
        return replace(bare, etag=sealed.get("etag", ""), checksum=checksum)

    def info(self) -> PartInfo:
        """What callers are told."""
        return PartInfo(self.number, self.size, self.etag, moment(self.modified), self.checksum)

    def _bound(self) -> dict[str, str]:
        return {
            "uid": self.uid.hex(),
            "number": str(self.number),
            "piece": self.piece.hex(),
            "size": str(self.size),
            "modified": str(self.modified),
            "blob": self.blob or "",
        }


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """An upload: what its object is going to be."""

    bucket: str
    key: str
    uid: bytes
    created: int
    attributes: Attributes
    tags: Mapping[str, str]
    envelope: Envelope
    checksum_algorithm: str | None
    checksum_type: ChecksumType | None
    initiator: str | None

    @property
    def id(self) -> str:
        """Its id on the wire."""
        return base64.urlsafe_b64encode(self.uid).decode()

    def values(self, facts: SealedFacts) -> dict[str, Any]:
        """The row, without its bucket's number."""
        sealed = {
            "attributes": _attributes_to_json(self.attributes),
            "tags": dict(self.tags),
            "envelope": self.envelope.to_json(),
            "checksum_algorithm": self.checksum_algorithm,
            "checksum_type": self.checksum_type,
            "initiator": self.initiator,
        }
        return {
            "key": self.key.encode(),
            "uid": self.uid,
            "created": self.created,
            "facts": facts.seal(sealed, _UPLOAD, _upload_bound(self.bucket, self.key, self.uid)),
        }

    @classmethod
    def open(cls, row: Row[Any], bucket: str, facts: SealedFacts) -> UploadRecord:
        """A record from its row. Raises IntegrityError."""
        key = row.key.decode()
        sealed = facts.open(row.facts, _UPLOAD, _upload_bound(bucket, key, row.uid))
        return cls(
            bucket,
            key,
            row.uid,
            row.created,
            _attributes_from_json(sealed.get("attributes", {})),
            sealed.get("tags", {}),
            Envelope.from_json(sealed.get("envelope", {})),
            sealed.get("checksum_algorithm"),
            sealed.get("checksum_type"),
            sealed.get("initiator"),
        )

    def info(self, customer_key_md5: str | None = None) -> Upload:
        """What callers are told."""
        return Upload(
            self.id,
            self.bucket,
            self.key,
            moment(self.created),
            self.envelope.facts(customer_key_md5),
            self.checksum_algorithm,
            self.checksum_type,
            self.initiator,
        )


def parse_upload_id(upload_id: str) -> bytes | None:
    """The uid behind an upload's id, None if it is none."""
    try:
        uid = base64.b64decode(upload_id, altchars=b"-_", validate=True)
    except ValueError:
        return None
    return uid if len(uid) == UID_BYTES else None


def seal_bucket(bucket: Bucket, facts: SealedFacts) -> bytes:
    """A bucket's settings as its row keeps them."""
    encryption = None
    if bucket.encryption is not None:
        encryption = {**asdict(bucket.encryption), "blocked": sorted(bucket.encryption.blocked)}
    sealed = {
        "region": bucket.region,
        "created": microseconds(bucket.created),
        "versioning": bucket.versioning,
        "encryption": encryption,
        "policy": bucket.policy,
        "cors": bucket.cors,
        "tags": dict(bucket.tags),
    }
    return facts.seal(sealed, _BUCKET, {"name": bucket.name, "owner": bucket.owner})


def open_bucket(facts: SealedFacts, name: str, owner: str, settings: bytes) -> Bucket:
    """A bucket from its row's columns. Raises IntegrityError."""
    sealed = facts.open(settings, _BUCKET, {"name": name, "owner": owner})
    try:
        encryption = sealed.pop("encryption")
        if encryption is not None:
            blocked = frozenset(encryption.pop("blocked"))
            encryption = DefaultEncryption(**encryption, blocked=blocked)
        created = moment(sealed.pop("created"))
        return Bucket(name, owner=owner, created=created, encryption=encryption, **sealed)
    except (KeyError, TypeError):
        raise IntegrityError("the settings of a bucket are malformed") from None


_ATTRIBUTES = tuple(one.name for one in fields(Attributes))
_OBJECT, _PART, _UPLOAD, _BUCKET = "object's facts", "part's facts", "upload's facts", "bucket"


def _upload_bound(bucket: str, key: str, uid: bytes) -> dict[str, str]:
    return {"bucket": bucket, "key": key, "uid": uid.hex()}


def _attributes_to_json(attributes: Attributes) -> dict[str, Any]:
    values = {name: getattr(attributes, name) for name in _ATTRIBUTES}
    values["metadata"] = dict(attributes.metadata)
    return {name: value for name, value in values.items() if value}


def _attributes_from_json(values: Mapping[str, Any]) -> Attributes:
    try:
        return Attributes(**values)
    except TypeError:
        raise IntegrityError("the facts of an object are malformed") from None


def _checksum_to_json(checksum: Checksum | None) -> list[str] | None:
    if checksum is None:
        return None
    return [checksum.algorithm, checksum.value, checksum.type]


def _checksum_from_json(values: list[Any] | None) -> Checksum | None:
    return None if values is None else Checksum(*values)
