"""Completing a multipart upload: are these its parts, and what object do they make?

The checks, their order and their messages are those that AWS was recorded to give. Nothing here
does I/O.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tlslab.store.checksums import can_combine, combine, composite
from tlslab.store.hashing import DEFAULT_ALGORITHM
from tlslab.store.model import Checksum, ChecksumType, CompletedPart
from tlslab.store.records import PartRecord, UploadRecord
from tlslab.store.refusals import Refused

MIN_PART_BYTES = 5 * 1024**2
"""Of every part but the last; S3's limit."""


def checksum_type(algorithm: str | None, wanted: ChecksumType | None) -> ChecksumType | None:
    """The type of checksum an upload gets. Raises Refused: InvalidRequest."""
    if algorithm is None:
        if wanted is not None:
            raise Refused(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
                "header.",
            )
        return None
    if wanted is None:
        return "FULL_OBJECT" if algorithm == DEFAULT_ALGORITHM else "COMPOSITE"
    possible = algorithm != DEFAULT_ALGORITHM if wanted == "COMPOSITE" else can_combine(algorithm)
    if not possible:
        raise Refused(
            "InvalidRequest",
            f"The {wanted} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm.",
        )
    return wanted


def chosen_parts(
    upload: UploadRecord, there: Mapping[int, PartRecord], named: Sequence[CompletedPart]
) -> list[PartRecord]:
    """The parts that a completion names, each of them there as named.

    Raises Refused: MalformedXML, InvalidPartOrder, InvalidPart, InvalidRequest, EntityTooSmall.
    """
    if not named:
        raise Refused("MalformedXML")
    numbers = [part.number for part in named]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise Refused("InvalidPartOrder", details={"UploadId": upload.id})
    chosen = []
    for part in named:
        record = there.get(part.number)
        if record is None or part.etag.strip('"') != record.etag:
            raise _invalid(upload, part)
        if part.checksum is not None:
            mine = record.checksum
            if mine is None or (mine.algorithm, mine.value) != (
                part.checksum.algorithm,
                part.checksum.value,
            ):
                raise _invalid(upload, part)
        elif upload.checksum_algorithm is not None and upload.checksum_type == "COMPOSITE":
            raise Refused(
                "InvalidRequest",
                f"The upload was created using a {upload.checksum_algorithm.lower()} checksum. The "
                "complete request must include the checksum for each part. It was missing for part "
                f"{part.number} in the request.",
            )
        chosen.append(record)
    for record in chosen[:-1]:
        if record.size < MIN_PART_BYTES:
            details = {
                "ProposedSize": str(record.size),
                "MinSizeAllowed": str(MIN_PART_BYTES),
                "PartNumber": str(record.number),
                "ETag": record.etag,
            }
            raise Refused("EntityTooSmall", details=details)
    return chosen


def whole_etag(parts: Sequence[PartRecord]) -> str:
    """The ETag of an object of parts: the MD5 of their ETags' bytes, and how many they are."""
    digest = hashlib.md5(
        b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False
    )
    return f"{digest.hexdigest()}-{len(parts)}"


def whole_checksum(
    upload: UploadRecord,
    parts: Sequence[PartRecord],
    expected: Checksum | None,
    wanted_type: ChecksumType | None,
) -> Checksum | None:
    """The checksum of the object; None if its parts have none in common.

    Raises Refused: InvalidRequest for another type than the upload's, BadDigest.
    """
    if wanted_type is not None and wanted_type != upload.checksum_type:
        raise Refused(
            "InvalidRequest",
            f"The upload was created using the {upload.checksum_type or 'null'} checksum mode. The "
            "complete request must use the same checksum mode.",
        )
    algorithm = upload.checksum_algorithm or DEFAULT_ALGORITHM
    found = [part.checksum for part in parts]
    values = [one.value for one in found if one is not None and one.algorithm == algorithm]
    if len(values) != len(parts):
        return None
    if upload.checksum_type == "COMPOSITE":
        checksum = Checksum(algorithm, composite(algorithm, values), "COMPOSITE")
    else:
        sizes = [part.size for part in parts]
        checksum = Checksum(algorithm, combine(algorithm, zip(values, sizes, strict=True)))
    if expected is not None and not (
        expected.algorithm == algorithm
        and hmac.compare_digest(expected.value.encode(), checksum.value.encode())
    ):
        raise Refused(
            "BadDigest",
            f"The {expected.algorithm.lower()} you specified did not match the calculated "
            "checksum.",
        )
    return checksum


def _invalid(upload: UploadRecord, part: CompletedPart) -> Refused:
    details = {
        "UploadId": upload.id,
        "PartNumber": str(part.number),
        "ETag": part.etag.strip('"'),
    }
    return Refused("InvalidPart", details=details)
