"""What anyone may know of a volume, snapshot or database, and the data key as the KMS wrapped it.

One line of JSON with sorted names; there is one encoding. Nothing in it is secret, and nothing is
believed: the id is bound by the KMS (it is the encryption context) and by every cell, the size by
the snapshot's payload or the volume's journal, the key by the KMS itself.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tlslab.errors import UsageError
from tlslab.volume.cells import BLOCK_BYTES, MAX_VOLUME_BYTES

Kind = Literal["volume", "snapshot", "database"]

MAX_DESCRIPTOR_BYTES = 16 * 1024
"""A wrapped data key has at most 6,144 bytes (the limit of KMS's CiphertextBlob)."""

_FORMAT = 1
_PREFIXES: dict[Kind, str] = {"volume": "vol", "snapshot": "snap", "database": "db"}
_CONTEXT: dict[Kind, str] = {
    "volume": "aws:ebs:id",
    "snapshot": "aws:ebs:id",
    "database": "aws:rds:db-id",
}


@dataclass(frozen=True)
class Descriptor:
    """A volume, a snapshot or a database, as seen from outside.

    `size` in bytes, 0 for a database, which grows; `kms_key_arn` is the KMS key, `data_key` what it
    wrapped, in `region`.
    """

    kind: Kind
    id: str
    size: int
    region: str
    kms_key_arn: str
    data_key: bytes

    @property
    def encryption_context(self) -> dict[str, str]:
        """What the data key is bound to in the KMS. The names are those that EBS and RDS use."""
        return encryption_context(self.kind, self.id)


def encryption_context(kind: Kind, resource_id: str) -> dict[str, str]:
    """The KMS encryption context of something, before there is a data key for it."""
    return {_CONTEXT[kind]: resource_id}


def new_id(kind: Kind) -> str:
    """A fresh id, in the form of EC2's: `vol-`, `snap-` or `db-` and 17 hex digits."""
    return f"{_PREFIXES[kind]}-{secrets.token_hex(9)[:17]}"


def check_size(size: int) -> int:
    """The size. Raises UsageError if no volume can have it."""
    if not BLOCK_BYTES <= size <= MAX_VOLUME_BYTES or size % BLOCK_BYTES:
        raise UsageError(
            f"a volume cannot have {size} bytes",
            hint=f"a multiple of {BLOCK_BYTES}, at most {MAX_VOLUME_BYTES}",
        )
    return size


def encode_descriptor(descriptor: Descriptor) -> bytes:
    """The descriptor as a line."""
    fields: dict[str, Any] = asdict(descriptor) | {"format": _FORMAT}
    fields["data_key"] = base64.b64encode(descriptor.data_key).decode()
    return json.dumps(fields, sort_keys=True).encode() + b"\n"


def decode_descriptor(line: bytes, kind: Kind) -> Descriptor:
    """The descriptor in a line.

    Raises UsageError for anything that `encode_descriptor` does not write for this kind.
    """
    try:
        fields = json.loads(line)
        found = Descriptor(
            kind, fields["id"], fields["size"], fields["region"],
            fields["kms_key_arn"], base64.b64decode(fields["data_key"]),
        )  # fmt: skip
        if kind != "database" or found.size:
            check_size(found.size)
        right_id = re.fullmatch(_PREFIXES[kind] + "-[0-9a-f]{17}", found.id)
        if right_id and encode_descriptor(found) == line:
            return found
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise UsageError(f"not the descriptor of a {kind}")


def read_descriptor(path: Path, kind: Kind) -> Descriptor:
    """The descriptor that a file begins with. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return decode_descriptor(file.readline(MAX_DESCRIPTOR_BYTES), kind)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(f"cannot read the {kind} {path}: {reason}") from error
