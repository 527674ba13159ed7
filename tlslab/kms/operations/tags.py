"""TagResource, UntagResource, ListResourceTags.

Source: AWS KMS API Reference, the operations of these names; AWS KMS Developer Guide, "Tags".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError
from tlslab.kms.paging import slice_page

MAX_TAGS = 50
"""Tags of one key (quotas of AWS KMS)."""

_RESERVED = "aws:"


def new_tags(present: Mapping[str, str], added: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a key once `added` are on it. Raises KMSError (TagException)."""
    names = [tag["TagKey"] for tag in added]
    if len(set(names)) < len(names):
        raise KMSError("TagException", "Duplicate tag keys")
    if any(name.lower().startswith(_RESERVED) for name in names):
        raise KMSError("TagException", "Tags beginning with aws: are reserved")
    tags = dict(present) | {tag["TagKey"]: tag["TagValue"] for tag in added}
    if len(tags) > MAX_TAGS:
        raise KMSError("TagException", "Too many tags")
    return tags


def tag_resource(call: Call) -> dict[str, Any]:
    """Add or overwrite tags."""
    call.require_customer_managed(call.key)
    tags = new_tags(call.key.tags, call.parameters["Tags"])
    call.keyring.update(call.connection, call.key, tags=tags)
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    """Remove tags; those that are not there do not matter."""
    call.require_customer_managed(call.key)
    gone = set(call.parameters["TagKeys"])
    tags = {name: value for name, value in call.key.tags.items() if name not in gone}
    call.keyring.update(call.connection, call.key, tags=tags)
    return {}


def list_resource_tags(call: Call) -> dict[str, Any]:
    """The tags of a key, in order of their names."""
    tags, rest = slice_page(call, sorted(call.key.tags.items()), default=50, most=50)
    return {"Tags": [{"TagKey": name, "TagValue": value} for name, value in tags]} | rest
