"""Buckets: CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation."""

from __future__ import annotations

from tlslab.http import Response
from tlslab.store.refusals import Refused
from tlslab.store.s3.answers import empty, owner, xml, xml_time
from tlslab.store.s3.call import Call
from tlslab.store.s3.settings import require_bucket
from tlslab.store.s3.writing import check_acl
from tlslab.store.s3.xml import Element, parse

CLASSIC_REGION = "us-east-1"
"""The region that has no location constraint."""

MAX_BUCKETS = 10_000
"""Most buckets in one page (ListBuckets)."""

_LEGACY_REGIONS = {"EU": "eu-west-1"}


async def create_bucket(call: Call) -> Response:
    """CreateBucket: for the caller's account, in the region the body names or the face's own."""
    check_acl(call.fields)
    _check_unsupported(call)
    data = await call.document()
    region = _region(call, data)
    assert call.caller.account is not None  # nobody is not authorised
    await call.store.create_bucket(call.bucket, owner=call.caller.account, region=region)
    return empty(200, [(b"Location", f"/{call.bucket}".encode())])


async def delete_bucket(call: Call) -> Response:
    """DeleteBucket: only an empty one."""
    await call.store.delete_bucket(call.bucket)
    return empty(204)


async def head_bucket(call: Call) -> Response:
    """HeadBucket: whether it is there and may be listed, and its region."""
    region = require_bucket(call).region
    return empty(200, [(b"x-amz-bucket-region", region.encode()), (b"Content-Length", b"0")])


async def get_bucket_location(call: Call) -> Response:
    """GetBucketLocation: the region, nothing for the classic one."""
    region = require_bucket(call).region
    constraint = "" if region == CLASSIC_REGION else region
    return xml("LocationConstraint", constraint)


async def list_buckets(call: Call) -> Response:
    """ListBuckets: the caller's own, in pages by name."""
    account = call.caller.account
    if account is None:
        raise Refused("AccessDenied")
    limit = call.number("max-buckets", MAX_BUCKETS, at_most=MAX_BUCKETS)
    prefix, after = call.parameter("prefix"), call.parameter("continuation-token")
    region = call.parameter("bucket-region")
    found = [
        bucket
        for bucket in sorted(await call.store.buckets(account), key=lambda bucket: bucket.name)
        if bucket.name.startswith(prefix) and bucket.name > after and region in {"", bucket.region}
    ]
    page = found[:limit]
    return xml(
        "ListAllMyBucketsResult",
        [
            (
                "Buckets",
                [
                    (
                        "Bucket",
                        [
                            ("Name", bucket.name),
                            ("CreationDate", xml_time(bucket.created)),
                            ("BucketRegion", bucket.region),
                        ],
                    )
                    for bucket in page
                ],
            ),
            ("Owner", owner(account)),
            ("Prefix", prefix or None),
            ("ContinuationToken", page[-1].name if page and len(found) > len(page) else None),
        ],
    )


def _check_unsupported(call: Call) -> None:
    ownership = call.fields.get("x-amz-object-ownership", "BucketOwnerEnforced")
    lock = call.fields.get("x-amz-bucket-object-lock-enabled", "false").lower()
    for name, wrong in {
        "x-amz-object-ownership": ownership != "BucketOwnerEnforced",
        "x-amz-bucket-object-lock-enabled": lock != "false",
    }.items():
        if wrong:
            raise Refused("NotImplemented", details={"Header": name})


def _region(call: Call, data: bytes) -> str:
    setting = call.setting
    if not data:
        return setting.region
    configuration = parse(data, "CreateBucketConfiguration")
    for name in ("Location", "Bucket", "Tags"):
        if configuration.find(name) is not None:
            raise Refused("NotImplemented", f"{name} of a new bucket is not implemented")
    region = _constraint(configuration.knows("LocationConstraint")) or setting.region
    if region not in setting.regions:
        raise Refused(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            status=400,
            details={"LocationConstraint": region},
        )
    return region


def _constraint(configuration: Element) -> str | None:
    value = configuration.value("LocationConstraint")
    return _LEGACY_REGIONS.get(value, value) if value else None
