"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases.

Whoever changes an alias needs permission for the alias (by its own policies) and for the keys that
it stands for before and after.

Source: AWS KMS API Reference, the operations of these names; AWS KMS Developer Guide, "Controlling
access to aliases".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, select

from tlslab.kms import tables
from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError, invalid
from tlslab.kms.managed import PREFIX
from tlslab.kms.material import SPECS
from tlslab.kms.model import ANY_STATE, NOT_BEING_DELETED, Key, alias_arn, moment
from tlslab.kms.naming import ALIAS, alias_not_found
from tlslab.kms.paging import page

_aliases = tables.aliases.c
_PAGE, _MOST = 50, 100


def create_alias(call: Call) -> dict[str, Any]:
    """Give a key a name."""
    name = _changeable(call)
    if call.keyring.alias(call.connection, call.region, call.account, name) is not None:
        arn = alias_arn(call.region, call.account, name)
        raise KMSError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    key = _target(call)
    call.connection.execute(
        tables.aliases.insert().values(
            region=call.region,
            account=call.account,
            name=name,
            key=key.id,
            created=call.now,
            updated=call.now,
        )
    )
    call.keyring.cache.changed(call.connection)
    return {}


def update_alias(call: Call) -> dict[str, Any]:
    """Give a key's name to another key of the same kind."""
    name = _changeable(call)
    old = _standing_for(call, name)
    new = _target(call)
    if SPECS[old.spec].family is not SPECS[new.spec].family or old.usage != new.usage:
        raise invalid("Alias cannot be updated to a key of another type or usage.")
    call.connection.execute(
        tables.aliases.update().where(_is(call, name)).values(key=new.id, updated=call.now)
    )
    call.keyring.cache.changed(call.connection)
    return {}


def delete_alias(call: Call) -> dict[str, Any]:
    """Take a name away; the key stays."""
    name = _changeable(call)
    _standing_for(call, name)
    call.connection.execute(tables.aliases.delete().where(_is(call, name)))
    call.keyring.cache.changed(call.connection)
    return {}


def list_aliases(call: Call) -> dict[str, Any]:
    """All names in the account and region, or those of one key."""
    call.authorise_identity("ListAliases")
    where = and_(_aliases.region == call.region, _aliases.account == call.account)
    if "KeyId" in call.parameters:
        key = call.find(call.parameters["KeyId"], alias=False).key
        where = and_(where, _aliases.key == key.id)
    query = select(tables.aliases).where(where)
    rows, rest = page(call, query, _aliases.name, default=_PAGE, most=_MOST)
    return {
        "Aliases": [
            {
                "AliasName": row.name,
                "AliasArn": alias_arn(call.region, call.account, row.name),
                "TargetKeyId": row.key,
                "CreationDate": moment(row.created),
                "LastUpdatedDate": moment(row.updated),
            }
            for row in rows
        ]
    } | rest


def _changeable(call: Call) -> str:
    """The request's alias, if it may be changed by the caller. Raises KMSError."""
    name: str = call.parameters["AliasName"]
    if not name.startswith(ALIAS) or name == ALIAS:
        raise invalid(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if name.startswith(PREFIX):
        raise KMSError("NotAuthorizedException")
    arn = alias_arn(call.region, call.account, name)
    call.authorise_identity(call.operation.name, arn)
    return name


def _target(call: Call) -> Key:
    found = call.use(
        call.parameters["TargetKeyId"],
        call.operation.name,
        states=NOT_BEING_DELETED,
        alias=False,
    )
    call.require_customer_managed(found.key)
    return found.key


def _standing_for(call: Call, name: str) -> Key:
    """The key that the alias stands for now, once the caller may take it away from it."""
    key_id = call.keyring.alias(call.connection, call.region, call.account, name)
    if key_id is None:
        raise alias_not_found(call.region, call.account, name)
    return call.use(key_id, call.operation.name, states=ANY_STATE).key


def _is(call: Call, name: str) -> Any:
    return and_(
        _aliases.region == call.region, _aliases.account == call.account, _aliases.name == name
    )
