"""The record of an object: what the catalogue keeps of it, as strict JSON with one encoding.

    readable by all     format, bucket, key, blob (where the payload lies), size, modified,
                        and the envelope of the data key
    private             content type, ETag (a hash of the plaintext!) and user metadata

In an encrypted record the private part is a box under the object's data key, and everything
readable is authenticated with it: bucket, key, size and time cannot be changed, nor can the private
part or the payload of one object be put under another. In a plain record nothing is authenticated.

One encoding: a record that is not byte for byte what `encode` writes is refused.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tlslab.envelope import open_box, seal_box
from tlslab.errors import IntegrityError

_FORMAT = "tlslab-object 1"
_PURPOSE = "metadata"
_BLOB = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class ObjectInfo:
    """The facts about a stored object.

    `size` in bytes; `modified` in UTC to the millisecond; `etag` is the MD5 of the plaintext in hex
    (as S3 has it for plain objects and SSE-S3), without quotes; `encryption` is the scheme's name
    or None.
    """

    bucket: str
    key: str
    size: int
    modified: datetime
    etag: str
    content_type: str
    metadata: Mapping[str, str]
    encryption: str | None


@dataclass(frozen=True)
class Record:
    """An object's record, its private part not yet opened."""

    bucket: str
    key: str
    blob: str
    size: int
    modified: str
    envelope: Mapping[str, str] | None
    private: str | Mapping[str, Any] = field(repr=False)

    @property
    def context(self) -> dict[str, str]:
        """What the data key is bound to."""
        return object_context(self.bucket, self.key)

    @property
    def scheme(self) -> str | None:
        """The encryption scheme's name, None for a plain record."""
        return None if self.envelope is None else self.envelope["scheme"]

    @classmethod
    def new(
        cls,
        info: ObjectInfo,
        blob: str,
        *,
        data_key: bytes | None = None,
        envelope: Mapping[str, str] | None = None,
    ) -> Record:
        """The record for an object; encrypted if a data key and its envelope are given."""
        private = {
            "content_type": info.content_type,
            "etag": info.etag,
            "metadata": dict(info.metadata),
        }
        if info.encryption is not None and envelope is not None:
            envelope = {"scheme": info.encryption, **envelope}
        modified = format_time(info.modified)
        record = cls(info.bucket, info.key, blob, info.size, modified, envelope, private)
        if data_key is None:
            return record
        box = seal_box(data_key, _dump(private), purpose=_PURPOSE, context=_dump(record._readable))
        sealed = base64.b64encode(box).decode()
        return cls(info.bucket, info.key, blob, info.size, modified, envelope, sealed)

    def open(self, data_key: bytes | None) -> ObjectInfo:
        """The facts, private ones included.

        `data_key` is None for a plain record. Raises IntegrityError if the record does not
        authenticate, or if it is plain where a data key is expected or the other way round.
        """
        private = self.private
        if isinstance(private, str):
            if data_key is None:
                raise IntegrityError("an encrypted record, where plain ones are kept")
            box = base64.b64decode(private)
            data = open_box(data_key, box, purpose=_PURPOSE, context=_dump(self._readable))
            private = json.loads(data)
        elif data_key is not None:
            raise IntegrityError("a plain record, where encrypted ones are kept")
        return ObjectInfo(
            bucket=self.bucket,
            key=self.key,
            size=self.size,
            modified=datetime.fromisoformat(self.modified),
            etag=private["etag"],
            content_type=private["content_type"],
            metadata=private["metadata"],
            encryption=self.scheme,
        )

    def encode(self) -> bytes:
        """The record as bytes."""
        return _dump({**self._readable, "private": self.private})

    @classmethod
    def parse(cls, data: bytes) -> Record:
        """A record from its bytes. Raises IntegrityError for anything `encode` does not write."""
        try:
            fields = json.loads(data)
            record = cls(
                _text(fields["bucket"]),
                _text(fields["key"]),
                _blob(fields["blob"]),
                _size(fields["size"]),
                _time(fields["modified"]),
                _envelope(fields["encryption"]),
                _private(fields["private"], plain=fields["encryption"] is None),
            )
            same = record.encode() == data
        except (ValueError, KeyError, TypeError, RecursionError):
            same = False
        if not same:
            raise IntegrityError("an object's record is malformed")
        return record

    @property
    def _readable(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "bucket": self.bucket,
            "key": self.key,
            "blob": self.blob,
            "size": self.size,
            "modified": self.modified,
            "encryption": None if self.envelope is None else dict(self.envelope),
        }


def object_context(bucket: str, key: str) -> dict[str, str]:
    """What the data key of an object is bound to when it is wrapped."""
    return {"bucket": bucket, "key": key}


def format_time(moment: datetime) -> str:
    """A time as in a record: UTC, milliseconds, no other spelling of the same time."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _dump(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _blob(value: object) -> str:
    """A blob's name; anything else could be a path to some other file."""
    text = _text(value)
    if not _BLOB.fullmatch(text):
        raise ValueError
    return text


def _size(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _time(value: object) -> str:
    text = _text(value)
    if format_time(datetime.fromisoformat(text)) != text:
        raise ValueError
    return text


def _strings(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError
    return value


def _envelope(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    envelope = _strings(value)
    _ = envelope["scheme"]
    return envelope


def _private(value: object, *, plain: bool) -> str | Mapping[str, Any]:
    if not plain:
        text = _text(value)
        if base64.b64encode(base64.b64decode(text, validate=True)).decode() != text:
            raise ValueError
        return text
    if not isinstance(value, dict) or set(value) != {"content_type", "etag", "metadata"}:
        raise TypeError
    _text(value["content_type"])
    _text(value["etag"])
    _strings(value["metadata"])
    return value
