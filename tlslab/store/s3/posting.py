"""PostObject: an object from an HTML form, permitted by the policy that the form carries.

Who signed the policy is the caller; what the form asks for is held against the policy first, then
against permissions like any other write. Source: "POST Object", Amazon S3 API Reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from tlslab.http import Headers, Response
from tlslab.iam.post_policy import SizeRange, check_policy
from tlslab.iam.signatures import authenticate_form
from tlslab.store.model import ObjectInfo
from tlslab.store.refusals import Refused
from tlslab.store.s3 import attributes, digests, tags
from tlslab.store.s3.access import authorise_form
from tlslab.store.s3.answers import XML, empty, quoted
from tlslab.store.s3.call import Call
from tlslab.store.s3.fields import is_authentication
from tlslab.store.s3.form import Form, boundary, read_form
from tlslab.store.s3.objects import written
from tlslab.store.s3.operations import FORM_HEADERS
from tlslab.store.s3.writing import check_acl, check_storage_class, encryption
from tlslab.store.s3.xml import document

_FILENAME: Final = "${filename}"


async def post_object(call: Call) -> Response:
    """PostObject."""
    mark = boundary(call.fields.get("content-type"))
    form = await read_form(call.payload(), mark)
    fields = _with_key(form)
    _check_known(fields)
    setting, now = call.setting, call.setting.now()
    authentication = authenticate_form(fields, setting.identities, now=now, regions=setting.regions)
    signer = authentication.key
    caller = replace(
        call.caller,
        principal=None if signer is None else signer.principal,
        access_key_id=None if signer is None else signer.id,
    )
    call = replace(call, caller=caller, authentication=authentication)
    sizes = SizeRange()
    if "policy" in fields:
        sizes = check_policy(fields, bucket=call.bucket, now=now)
    key = fields["key"]
    found = tags.from_xml(fields["tagging"].encode()) if "tagging" in fields else {}
    await authorise_form(call, key, fields, found)
    info = await _store(call, key, fields, found, _sized(form, sizes))
    return _answer(call, key, fields, info)


async def _store(
    call: Call,
    key: str,
    fields: Mapping[str, str],
    new_tags: Mapping[str, str],
    body: AsyncIterator[bytes],
) -> ObjectInfo:
    check_acl(fields, "acl")
    check_storage_class(fields)
    return await call.store.put(
        call.caller,
        call.bucket,
        key,
        body,
        attributes=attributes.read_attributes(fields),
        encryption=encryption(call, fields),
        checksum=digests.promised(fields, None),
        content_md5=digests.check_md5(fields.get("content-md5")),
        tags=new_tags,
    )


def _with_key(form: Form) -> dict[str, str]:
    """The fields, with the key as it will be stored."""
    key = form.fields.get("key")
    if not key:
        message = (
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
            "order of the fields."
        )
        raise Refused("InvalidArgument", message, details={"ArgumentName": "key"})
    return form.fields | {"key": key.replace(_FILENAME, form.filename)}


def _check_known(fields: Mapping[str, str]) -> None:
    for name in fields:
        known = name in FORM_HEADERS or name.startswith(attributes.META) or is_authentication(name)
        if name.startswith("x-amz-") and not known:
            raise Refused("NotImplemented", details={"Header": name})


async def _sized(form: Form, sizes: SizeRange) -> AsyncIterator[bytes]:
    """The file, as long as its size is one that the policy allows."""
    size = 0
    async with aclosing(form.file) as parts:
        async for part in parts:
            size += len(part)
            if sizes.most is not None and size > sizes.most:
                details = {"ProposedSize": str(size), "MaxSizeAllowed": str(sizes.most)}
                raise Refused("EntityTooLarge", details=details)
            yield part
    if size < sizes.least:
        details = {"ProposedSize": str(size), "MinSizeAllowed": str(sizes.least)}
        raise Refused("EntityTooSmall", details=details)


def _answer(call: Call, key: str, fields: Mapping[str, str], info: ObjectInfo) -> Response:
    headers: Headers = written(call, info)
    redirect = fields.get("success_action_redirect") or fields.get("redirect")
    if redirect and _is_url(redirect):
        told = urlencode({"bucket": call.bucket, "key": key, "etag": quoted(info.etag)})
        joint = "&" if "?" in redirect else "?"
        return empty(303, [*headers, (b"Location", f"{redirect}{joint}{told}".encode())])
    location = f"/{call.bucket}/{quote(key)}"
    headers.append((b"Location", location.encode()))
    status = fields.get("success_action_status")
    if status != "201":
        return empty(200 if status == "200" else 204, headers)
    found = document(
        "PostResponse",
        [
            ("Location", location),
            ("Bucket", call.bucket),
            ("Key", key),
            ("ETag", quoted(info.etag)),
        ],
        namespace=None,
    )
    return Response(201, [XML, *headers], found)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.netloc)
        and text.isprintable()
        and text.isascii()
    )
