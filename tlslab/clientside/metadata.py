"""What must be known to decrypt an object, and its two published encodings as metadata.

                       V3               V2
    suite              x-amz-c          x-amz-cek-alg
    message id or IV   x-amz-i          x-amz-iv
    commitment         x-amz-d          (none)
    wrapped data key   x-amz-3          x-amz-key-v2
    wrapped how        x-amz-w          x-amz-wrap-alg
    context            x-amz-t, -m      x-amz-matdesc
    bits of the tag    (128)            x-amz-tag-len

These are the "content metadata" of the Amazon S3 Encryption Client's public specification. They are
stored as user metadata (`x-amz-meta-` before each name), or, when an instruction file is used, in a
second object beside it: all of them in V2; in V3 the three that describe the content stay with it.

V1 (`x-amz-key`) and the CBC suites are not read at all: they do not authenticate what they decrypt.
Parsing is strict: base64 and names have one spelling each, and no name of one format may stand
beside those of another. It does no cryptography, and knows neither keys nor stores.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tlslab.clientside.content import Suite
from tlslab.errors import IntegrityError, UsageError

INSTRUCTION_SUFFIX = ".instruction"
"""An object's instruction file has its key with this behind it."""

MAX_METADATA_BYTES = 2048
"""All user metadata of an object, names and values (S3's documented limit)."""

MAX_INSTRUCTION_BYTES = 64 * 1024
"""An instruction file; the largest wrapped data key is 8 KiB in base64, the context no more."""


class Format(Enum):
    """A published format of metadata."""

    V3 = "v3"
    V2 = "v2"

    @property
    def suite(self) -> Suite:
        """The suite that goes with it; there is exactly one."""
        return Suite.COMMITTING if self is Format.V3 else Suite.PLAIN


class Wrap(Enum):
    """How a data key is wrapped. The value is V2's name of it, `number` V3's."""

    AES_GCM = "AES/GCM"
    KMS = "kms+context"

    @property
    def number(self) -> str:
        """V3's name."""
        return "02" if self is Wrap.AES_GCM else "12"


@dataclass(frozen=True)
class Envelope:
    """What must be known to decrypt an object, besides the key that wraps its data key.

    `nonce` is V3's message id or V2's IV. `context` is the context as stored: what a KMS
    authenticates with the wrapped key, or, where an application holds the key, a mere description.
    """

    format: Format
    wrap: Wrap
    wrapped_key: bytes
    nonce: bytes
    commitment: bytes | None
    context: Mapping[str, str]


_CONTENT_V3 = ("x-amz-c", "x-amz-d", "x-amz-i")
_KEY_V3 = ("x-amz-3", "x-amz-w")
_CONTEXT_V3 = {Wrap.KMS: "x-amz-t", Wrap.AES_GCM: "x-amz-m"}
_V2 = ("x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-matdesc")
_TAG_V2 = "x-amz-tag-len"
_KEY_V1 = "x-amz-key"

ALL_NAMES = {*_CONTENT_V3, *_KEY_V3, *_CONTEXT_V3.values(), *_V2, _TAG_V2, _KEY_V1}
"""Every name of any version."""


def encode_metadata(envelope: Envelope) -> dict[str, str]:
    """The metadata, names without `x-amz-meta-`; all ASCII."""
    text = json.dumps(envelope.context, separators=(",", ":"), sort_keys=True)
    if envelope.format is Format.V3:
        assert envelope.commitment is not None
        encoded = {
            "x-amz-c": Suite.COMMITTING.value,
            "x-amz-i": _encode(envelope.nonce),
            "x-amz-d": _encode(envelope.commitment),
            "x-amz-3": _encode(envelope.wrapped_key),
            "x-amz-w": envelope.wrap.number,
        }
        return {**encoded, _CONTEXT_V3[envelope.wrap]: text} if envelope.context else encoded
    return {
        "x-amz-cek-alg": Suite.PLAIN.value,
        "x-amz-iv": _encode(envelope.nonce),
        "x-amz-key-v2": _encode(envelope.wrapped_key),
        "x-amz-wrap-alg": envelope.wrap.value,
        "x-amz-matdesc": text,
        "x-amz-tag-len": "128",
    }


def check_metadata_size(metadata: Mapping[str, str]) -> None:
    """Raise UsageError if no store would take so much user metadata."""
    size = sum(len(name) + len(value) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise UsageError(
            f"the metadata would have {size} bytes where S3 takes {MAX_METADATA_BYTES}",
            hint="give a shorter context",
        )


def is_encrypted(metadata: Mapping[str, str]) -> bool:
    """Whether metadata says that the object was encrypted before upload, in any version."""
    return any(name.lower() in ALL_NAMES for name in metadata)


def wants_instruction_file(metadata: Mapping[str, str]) -> bool:
    """Whether the wrapped data key is not with the object, but may be in an instruction file."""
    names = {name.lower() for name in metadata}
    return not names & {"x-amz-3", "x-amz-key-v2", _KEY_V1}


def parse_instruction_file(data: bytes) -> dict[str, str]:
    """The metadata in an instruction file. Raises IntegrityError if it is anything else."""
    metadata = _parse_object(data.decode("utf-8", "replace"), "an instruction file")
    if not metadata or not metadata.keys() <= ALL_NAMES:
        raise IntegrityError("the instruction file has other names in it than the format knows")
    return metadata


def decode_metadata(
    metadata: Mapping[str, str],
    *,
    instruction: Mapping[str, str] | None = None,
    accept: Sequence[Format] = (Format.V3,),
) -> Envelope:
    """The envelope in an object's metadata (without `x-amz-meta-`), and in its instruction file.

    Raises IntegrityError if the object is not encrypted in a format that `accept` names, if
    anything is missing, malformed or said twice, or if an instruction file says what belongs to the
    object.
    """
    own = {name.lower(): value for name, value in metadata.items() if name.lower() in ALL_NAMES}
    fields = {**own, **(instruction or {})}
    if instruction is not None and (
        own.keys() & instruction.keys() or instruction.keys() & set(_CONTENT_V3)
    ):
        raise IntegrityError("the instruction file says what only the object may say of itself")
    found = _format_of(fields)
    if instruction is not None and found is Format.V2 and own:
        raise IntegrityError("metadata is split in a way that the format does not know")
    if found not in accept:
        raise IntegrityError(
            f"the object is in format {found.name}, which is not accepted",
            hint="V2 does not commit to its key; --accept-v2 reads it, if you trust its writer",
        )
    return _decode_v3(fields) if found is Format.V3 else _decode_v2(fields)


def _format_of(fields: Mapping[str, str]) -> Format:
    v3 = fields.keys() & {*_CONTENT_V3, *_KEY_V3, *_CONTEXT_V3.values()}
    v2 = fields.keys() & {*_V2, _TAG_V2}
    if _KEY_V1 in fields:
        raise IntegrityError(
            "the object is in format V1, which is not read here",
            hint="V1 does not authenticate; have the client that wrote it write it anew",
        )
    if v3 and v2:
        raise IntegrityError("the metadata is of two formats at once")
    if not v3 and not v2:
        raise IntegrityError(
            "the object was not encrypted before upload", hint="get it without --client-side"
        )
    return Format.V3 if v3 else Format.V2


def _decode_v3(fields: Mapping[str, str]) -> Envelope:
    _require(fields, (*_CONTENT_V3, *_KEY_V3))
    if fields["x-amz-c"] != Suite.COMMITTING.value:
        raise IntegrityError("the object is encrypted with a suite that is not known")
    wraps = {wrap.number: wrap for wrap in Wrap}
    wrap = _known_wrap(wraps, fields["x-amz-w"])
    foreign = {name for other, name in _CONTEXT_V3.items() if other is not wrap}
    if fields.keys() & foreign:
        raise IntegrityError("the metadata has a context that its wrapping does not use")
    return Envelope(
        Format.V3,
        wrap,
        _decode(fields, "x-amz-3"),
        _decode(fields, "x-amz-i", Suite.COMMITTING.nonce_bytes),
        _decode(fields, "x-amz-d", 28),
        _parse_object(fields.get(_CONTEXT_V3[wrap], "{}"), "the context"),
    )


def _decode_v2(fields: Mapping[str, str]) -> Envelope:
    _require(fields, (*_V2, _TAG_V2))
    if fields["x-amz-cek-alg"] != Suite.PLAIN.value or fields[_TAG_V2] != "128":
        raise IntegrityError(
            "the object is encrypted in a way that is not read here",
            hint="of V2 only AES-GCM with a tag of 128 bits is; CBC does not authenticate",
        )
    wraps = {wrap.value: wrap for wrap in Wrap}
    return Envelope(
        Format.V2,
        _known_wrap(wraps, fields["x-amz-wrap-alg"]),
        _decode(fields, "x-amz-key-v2"),
        _decode(fields, "x-amz-iv", Suite.PLAIN.nonce_bytes),
        None,
        _parse_object(fields["x-amz-matdesc"], "the context"),
    )


def _require(fields: Mapping[str, str], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in fields]
    if missing:
        raise IntegrityError(f"the metadata lacks {', '.join(missing)}")


def _known_wrap(wraps: Mapping[str, Wrap], name: str) -> Wrap:
    if name not in wraps:
        raise IntegrityError(
            "the data key is wrapped in a way that is not known",
            hint=f"known are {', '.join(wrap.value for wrap in Wrap)}",
        )
    return wraps[name]


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _decode(fields: Mapping[str, str], name: str, length: int | None = None) -> bytes:
    """The bytes of a field, if it is their one spelling and (where given) of that length."""
    try:
        value = base64.b64decode(fields[name], validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        value = b""
    right_length = bool(value) if length is None else len(value) == length
    if not right_length or _encode(value) != fields[name]:
        raise IntegrityError(f"{name} in the metadata is malformed")
    return value


def _parse_object(text: str, what: str) -> dict[str, str]:
    """A JSON object of strings that names nothing twice."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a name comes twice")
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise IntegrityError(f"{what} is not a JSON object of strings")
    return value
