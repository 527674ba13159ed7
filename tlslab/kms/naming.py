"""What a KeyId means: an id, a key's ARN, an alias or an alias's ARN.

Bare ids and aliases are the caller's account's; a key of another account is named by its ARN.

Source: AWS KMS Developer Guide, "Key identifiers (KeyId)"; the wording as recorded from AWS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlslab.iam import Arn
from tlslab.kms.errors import KMSError
from tlslab.kms.managed import is_predefined, make_managed_key
from tlslab.kms.model import Key, alias_arn, key_arn

if TYPE_CHECKING:
    from tlslab.kms.call import Call

ALIAS = "alias/"

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")


@dataclass(frozen=True)
class Found:
    """A key, and the alias it was asked for by."""

    key: Key
    alias: str | None = None


def find_key(call: Call, key_id: str, *, alias: bool) -> Found:
    """The key that `key_id` means in the request's region. Raises KMSError.

    Without `alias` names of aliases are not accepted.
    """
    account, name = call.account, key_id
    if key_id.startswith("arn:"):
        account, name = _of_arn(key_id, call.region)
    if name.startswith(ALIAS):
        if not alias:
            raise not_found(f"Invalid keyId '{key_id}'")
        return Found(_by_alias(call, account, name), name)
    if not _ID.fullmatch(name):
        raise not_found(f"Invalid keyId '{name}'")
    key = call.keyring.find(call.connection, call.region, name)
    if key is None or key.account != account:
        raise not_found(f"Key '{key_arn(call.region, account, name)}' does not exist")
    return Found(key)


def not_found(message: str) -> KMSError:
    """What there is not."""
    return KMSError("NotFoundException", message)


def alias_not_found(region: str, account: str, name: str) -> KMSError:
    """An alias that there is not."""
    return not_found(f"Alias {alias_arn(region, account, name)} is not found.")


def _of_arn(text: str, region: str) -> tuple[str, str]:
    """The account, and the id or alias, of an ARN in this region."""
    arn = Arn.parse(text)
    if arn is None or arn.service != "kms" or arn.partition != "aws":
        raise KMSError("InvalidArnException", f"Invalid arn {text}")
    if arn.region != region:
        raise not_found(f"Invalid arn {arn.region}")
    if arn.resource.startswith(ALIAS):
        return arn.account, arn.resource
    kind, _, name = arn.resource.partition("/")
    if kind != "key":
        raise KMSError("InvalidArnException", f"Invalid arn {text}")
    return arn.account, name


def _by_alias(call: Call, account: str, name: str) -> Key:
    key_id = call.keyring.alias(call.connection, call.region, account, name)
    if key_id is None:
        if account == call.account and is_predefined(name):
            return make_managed_key(call, name)
        raise alias_not_found(call.region, account, name)
    key = call.keyring.find(call.connection, call.region, key_id)
    assert key is not None
    return key
