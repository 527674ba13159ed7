"""Checksums in header fields and trailers: what a write promises, what a response tells.

The rules are the API's ("Checking object integrity", Amazon S3 User Guide) and the messages those
that AWS was recorded to give. Values are not computed here; that is `tlslab.store.checksums`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, cast

from tlslab.http import Headers
from tlslab.iam.payload import Upload
from tlslab.store.checksums import Hasher
from tlslab.store.model import Checksum, ChecksumType, ExpectedChecksum
from tlslab.store.refusals import Refused
from tlslab.store.s3.xml import Child

SIZES: Final = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
"""Bytes of a value, by algorithm."""

PREFIX: Final = "x-amz-checksum-"
_NAMES: Final = {f"{PREFIX}{algorithm.lower()}": algorithm for algorithm in SIZES}


def promised(fields: Mapping[str, str], upload: Upload | None) -> ExpectedChecksum | None:
    """The checksum that a body is to have, by a field or by its trailer; None if neither.

    Without an `upload` there are no trailers. Raises Refused (InvalidRequest), for a trailer when
    its value is asked for.
    """
    given = [name for name in _NAMES if name in fields]
    trailers = [name.strip().lower() for name in fields.get("x-amz-trailer", "").split(",")]
    announced = [name for name in trailers if name and upload is not None]
    for name in announced:
        if name not in _NAMES:
            message = "The value specified in the x-amz-trailer header is not supported"
            raise Refused("InvalidRequest", message)
    if len(given) + len(announced) > 1:
        raise _several()
    named = fields.get("x-amz-sdk-checksum-algorithm")
    if not given and not announced:
        if named is not None:
            raise Refused(
                "InvalidRequest",
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
                "x-amz-trailer headers were found.",
            )
        return None
    algorithm = _NAMES[(given or announced)[0]]
    if named is not None and named.upper() != algorithm:
        raise Refused("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if given:
        return ExpectedChecksum(algorithm, check_value(algorithm, fields[given[0]]))
    name = announced[0]
    assert upload is not None
    return ExpectedChecksum(algorithm, lambda: check_value(algorithm, upload.trailers[name]))


def verify(expected: ExpectedChecksum, data: bytes) -> None:
    """Hold a body that was read to its end against its checksum. Raises Refused (BadDigest)."""
    value = expected.value() if callable(expected.value) else expected.value
    hasher = Hasher(expected.algorithm)
    hasher.update(data)
    if value is not None and not hmac.compare_digest(hasher.digest().encode(), value.encode()):
        message = f"The {expected.algorithm} you specified did not match the calculated checksum."
        raise Refused("BadDigest", message)


def verify_md5(expected: str | None, data: bytes) -> None:
    """... and against its Content-MD5, if it has one."""
    digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest())
    if expected is not None and not hmac.compare_digest(digest, expected.encode()):
        raise Refused("BadDigest")


def check_value(algorithm: str, value: str) -> str:
    """The value itself, if it is base64 of the right length. Raises Refused (InvalidRequest)."""
    try:
        if len(base64.b64decode(value, validate=True)) == SIZES[algorithm]:
            return value
    except (binascii.Error, ValueError):
        pass
    header = f"{PREFIX}{algorithm.lower()}"
    raise Refused("InvalidRequest", f"Value for {header} header is invalid.")


def check_md5(value: str | None) -> str | None:
    """A Content-MD5 as it is, if it can be one. Raises Refused (InvalidDigest)."""
    if value is None:
        return None
    try:
        if len(base64.b64decode(value, validate=True)) == 16:
            return value
    except (binascii.Error, ValueError):
        pass
    raise Refused("InvalidDigest", details={"Content-MD5": value})


def supported(algorithm: str | None) -> str | None:
    """The value of `x-amz-checksum-algorithm`, if it is one of the five or not given."""
    if algorithm is None:
        return None
    if algorithm.upper() not in SIZES:
        raise Refused(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            f"types: [{', '.join(SIZES)}]",
        )
    return algorithm.upper()


def checksum_type(fields: Mapping[str, str]) -> ChecksumType | None:
    """The value of `x-amz-checksum-type`. Raises Refused (InvalidRequest)."""
    value = fields.get("x-amz-checksum-type")
    if value not in {None, "FULL_OBJECT", "COMPOSITE"}:
        raise Refused("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    return cast(ChecksumType | None, value)


def of_object(fields: Mapping[str, str]) -> Checksum | None:
    """The checksum of the whole that a completion promises. Raises Refused (InvalidRequest)."""
    given = [name for name in _NAMES if name in fields]
    if len(given) > 1:
        raise _several()
    return Checksum(_NAMES[given[0]], fields[given[0]]) if given else None


def told(checksum: Checksum | None) -> Headers:
    """How a response tells a checksum."""
    if checksum is None:
        return []
    return [
        (f"{PREFIX}{checksum.algorithm.lower()}".encode(), checksum.value.encode()),
        (b"x-amz-checksum-type", checksum.type.encode()),
    ]


def elements(checksum: Checksum | None, *, with_type: bool = True) -> list[Child]:
    """The same as elements of XML."""
    if checksum is None:
        return []
    found: list[Child] = [(f"Checksum{checksum.algorithm}", checksum.value)]
    return [*found, ("ChecksumType", checksum.type)] if with_type else found


def _several() -> Refused:
    return Refused(
        "InvalidRequest",
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    )
