"""Tags of objects: GetObjectTagging, PutObjectTagging, DeleteObjectTagging."""

from __future__ import annotations

from tlslab.http import Headers, Response
from tlslab.store.s3 import tags
from tlslab.store.s3.access import authorise_tags
from tlslab.store.s3.answers import XML, empty
from tlslab.store.s3.call import Call


async def get_tags(call: Call) -> Response:
    """GetObjectTagging."""
    found, version = await call.store.tags(call.bucket, call.key, version_id=call.version_id)
    return Response(200, [XML, *_version(call, version)], tags.to_xml(found))


async def put_tags(call: Call) -> Response:
    """PutObjectTagging: replaces all of them."""
    found = tags.from_xml(await call.document())
    await authorise_tags(call, found)
    version = await call.store.put_tags(call.bucket, call.key, found, version_id=call.version_id)
    return empty(200, _version(call, version))


async def delete_tags(call: Call) -> Response:
    """DeleteObjectTagging."""
    version = await call.store.put_tags(call.bucket, call.key, {}, version_id=call.version_id)
    return empty(204, _version(call, version))


def _version(call: Call, version: str) -> Headers:
    return [(b"x-amz-version-id", version.encode())] if call.versioned else []
