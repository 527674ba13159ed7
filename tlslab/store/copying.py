"""Copies within the store: read, decrypted, encrypted anew and written as any other body."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from tlslab.iam.caller import Caller
from tlslab.store.model import (
    Attributes,
    CopySource,
    CustomerKey,
    Encryption,
    ExpectedChecksum,
    ObjectInfo,
    PartInfo,
)
from tlslab.store.multipart import Multipart
from tlslab.store.refusals import Refused

_TO_ITSELF = (
    "This copy request is illegal because it is trying to copy an object to itself without "
    "changing the object's metadata, storage class, website redirect location or encryption "
    "attributes."
)


class Copying(Multipart):
    """Copies between any two objects, whatever each is encrypted with."""

    async def copy(
        self,
        caller: Caller,
        source: CopySource,
        bucket: str,
        key: str,
        *,
        source_unlock: CustomerKey | None = None,
        attributes: Attributes | None = None,
        tags: Mapping[str, str] | None = None,
        encryption: Encryption | None = None,
        checksum_algorithm: str | None = None,
        check_source: Callable[[ObjectInfo], None] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectInfo:
        """Copy an object, with its own attributes and tags where these are None.

        `check_source` raises what is to stop it. Raises Refused as `get` and `put`; InvalidRequest
        for a copy to itself that changes nothing.
        """
        unchanged = attributes is None and tags is None and encryption is None
        if unchanged and source == CopySource(bucket, key):
            raise Refused("InvalidRequest", _TO_ITSELF)
        stored = await self.get(
            caller, source.bucket, source.key, version_id=source.version_id, unlock=source_unlock
        )
        async with stored:
            info = stored.info
            if check_source is not None:
                check_source(info)
            if tags is None:
                tags, _ = await self.tags(source.bucket, source.key, version_id=info.version_id)
            algorithm = checksum_algorithm
            if algorithm is None and info.checksum is not None:
                algorithm = info.checksum.algorithm
            async with contextlib.aclosing(stored.read()) as body:
                return await self.put(
                    caller,
                    bucket,
                    key,
                    body,
                    attributes=info.attributes if attributes is None else attributes,
                    encryption=encryption,
                    checksum=None if algorithm is None else ExpectedChecksum(algorithm),
                    tags=tags,
                    if_match=if_match,
                    if_none_match=if_none_match,
                )

    async def copy_part(
        self,
        caller: Caller,
        source: CopySource,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        *,
        byte_range: tuple[int, int] | None = None,
        source_unlock: CustomerKey | None = None,
        unlock: CustomerKey | None = None,
        check_source: Callable[[ObjectInfo], None] | None = None,
    ) -> PartInfo:
        """Store a part that is a copy of an object, or of its bytes from first to last inclusive.

        Raises Refused as `get` and `put_part`; InvalidArgument or InvalidRequest for the range.
        """
        upload = await self.upload(bucket, key, upload_id)
        stored = await self.get(
            caller, source.bucket, source.key, version_id=source.version_id, unlock=source_unlock
        )
        async with stored:
            if check_source is not None:
                check_source(stored.info)
            start, stop = _range(byte_range, stored.info.size)
            algorithm = upload.checksum_algorithm
            async with contextlib.aclosing(stored.read(start, stop)) as body:
                return await self.put_part(
                    caller,
                    bucket,
                    key,
                    upload_id,
                    number,
                    body,
                    unlock=unlock,
                    checksum=None if algorithm is None else ExpectedChecksum(algorithm),
                )


def _range(byte_range: tuple[int, int] | None, size: int) -> tuple[int, int]:
    if byte_range is None:
        return 0, size
    first, last = byte_range
    if first >= size:
        raise Refused(
            "InvalidRequest", "The specified copy range is invalid for the source object size"
        )
    if last >= size:
        raise Refused(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size}",
            details={
                "ArgumentName": "x-amz-copy-source-range",
                "ArgumentValue": f"bytes={first}-{last}",
            },
        )
    return first, last + 1
