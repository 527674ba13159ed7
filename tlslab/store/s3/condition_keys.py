"""The condition keys that a request to S3 brings: `s3:...`, beside the global ones.

A key is there only if the request has what it stands for. Every value is read where the operation
reads it, or a policy would judge another request than the one that is served.

Source: Service Authorization Reference, "Condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tlslab.iam.context import global_context
from tlslab.store.model import EncryptionFacts
from tlslab.store.s3.call import Call
from tlslab.store.s3.permissions import COPIES
from tlslab.store.s3.source import read_source
from tlslab.store.s3.sse import CUSTOMER, SSE
from tlslab.store.s3.tags import from_header

_HEADERS: Final = (
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-content-sha256",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
"""Header fields whose value is a key's as it is."""

_LISTS: Final = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions"})
_LIST_PARAMETERS: Final = ("prefix", "delimiter", "max-keys")

_CREATES: Final[dict[str, bool]] = {
    "PutObject": True,
    "CopyObject": True,
    "CompleteMultipartUpload": True,
    "PostObject": True,
    "CreateMultipartUpload": False,
    "UploadPart": False,
    "UploadPartCopy": False,
}
"""By operation that takes s3:PutObject: whether an object comes to be at its end."""

_AUTH_TYPES: Final = {"header": "REST-HEADER", "query": "REST-QUERY-STRING", "form": "POST"}
_SIGNATURES: Final = {"v4": "AWS4-HMAC-SHA256", "v2": "AWS"}

Keys = dict[str, str | list[str]]


def request_keys(call: Call) -> Keys:
    """The keys of a request as a whole, whatever it needs permission for.

    Raises Refused for header fields that the operation would refuse as well.
    """
    name, fields, query = call.operation.name, call.fields, call.target.query
    keys: Keys = dict(global_context(call.caller, call.setting.now()))
    keys |= _signature(call)
    keys |= {f"s3:{header}": fields[header] for header in _HEADERS if header in fields}
    if "referer" in fields:
        keys["aws:Referer"] = fields["referer"]
    if name in _LISTS:
        keys |= {f"s3:{each}": query[each] for each in _LIST_PARAMETERS if each in query}
    if query.get("versionId"):
        keys["s3:VersionId"] = query["versionId"]
    if name in _CREATES:
        keys["s3:ObjectCreationOperation"] = "true" if _CREATES[name] else "false"
    if name in COPIES:
        source = read_source(fields)
        keys["s3:x-amz-copy-source"] = f"{source.bucket}/{source.key}"
    if "x-amz-tagging" in fields:
        keys |= tag_keys(from_header(fields["x-amz-tagging"]))
    return keys


def tag_keys(tags: Mapping[str, str]) -> Keys:
    """The keys for tags that a request brings."""
    return {
        **{f"s3:RequestObjectTag/{name}": value for name, value in tags.items()},
        "s3:RequestObjectTagKeys": list(tags),
    }


def existing_tag_keys(tags: Mapping[str, str]) -> Keys:
    """The keys for tags that an object has."""
    return {f"s3:ExistingObjectTag/{name}": value for name, value in tags.items()}


def encryption_keys(facts: EncryptionFacts) -> Keys:
    """The keys for the encryption that something has, as the request that asked for it had them."""
    if facts.algorithm == "SSE-C":
        return {f"s3:{CUSTOMER}algorithm": "AES256"}
    keys: Keys = {}
    if facts.algorithm is not None:
        keys[f"s3:{SSE}"] = facts.algorithm
    if facts.kms_key_arn is not None:
        keys[f"s3:{SSE}-aws-kms-key-id"] = facts.kms_key_arn
    return keys


def _signature(call: Call) -> Keys:
    version, _, form = call.authentication.scheme.partition("-")
    if not form:  # anonymous
        return {}
    keys: Keys = {"s3:authType": _AUTH_TYPES[form], "s3:signatureversion": _SIGNATURES[version]}
    signed_at = call.authentication.signed_at
    if signed_at is not None:
        age = (call.setting.now() - signed_at).total_seconds()
        keys["s3:signatureAge"] = str(max(0, int(age * 1000)))
    return keys
