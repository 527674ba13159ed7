"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.

Source: AWS KMS API Reference, the operations of these names; AWS KMS Developer Guide, "Grants".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, select

from tlslab.iam import Arn
from tlslab.kms import tables
from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError, invalid
from tlslab.kms.grants import WITH_CONTEXT, Grant, grant, is_named, new_grant_id
from tlslab.kms.model import key_arn, moment
from tlslab.kms.naming import not_found
from tlslab.kms.paging import page

_PAGE, _MOST = 50, 100
MAX_GRANTS = 50_000
"""Grants of one key (quotas of AWS KMS)."""


def create_grant(call: Call) -> dict[str, Any]:
    """Permit one principal some operations on the key.

    Asking again under the same name, with everything else the same, gives the same grant.
    """
    call.require_customer_managed(call.key)
    new = _wanted(call)
    if call.grant is not None and not call.grant.covers(new):
        raise KMSError(
            "AccessDeniedException", "A grant cannot give more than the grant that allows it."
        )
    grants = call.services.grants
    namesakes = grants.named(call.connection, call.key, new.name) if new.name else ()
    same = next((each for each in namesakes if _alike(each, new)), None)
    if same is None:
        if grants.count(call.connection, call.key) >= MAX_GRANTS:
            raise KMSError("LimitExceededException", "The key has as many grants as it can have.")
        grants.add(call.connection, new)
    grant_id = (same or new).id
    return {"GrantId": grant_id, "GrantToken": grants.token(grant_id)}


def _wanted(call: Call) -> Grant:
    parameters, constraints = call.parameters, call.parameters.get("Constraints", {})
    grantee = _principal(call, "GranteePrincipal", "GranteeServicePrincipal")
    if grantee is None:
        raise invalid("Either GranteePrincipal or GranteeServicePrincipal is required.")
    operations = frozenset(parameters["Operations"])
    if not operations:
        raise invalid("Operations must not be empty.")
    by_context = {"EncryptionContextSubset", "EncryptionContextEquals"} & constraints.keys()
    if len(by_context) > 1:
        raise invalid("A grant has one encryption context constraint at most.")
    if by_context and not (call.key.symmetric and operations & WITH_CONTEXT):
        raise invalid("Encryption context constraints are for operations that have a context.")
    return Grant(
        id=new_grant_id(),
        region=call.region,
        key=call.key.id,
        name=parameters.get("Name"),
        created=call.now,
        grantee=grantee,
        retiring=_principal(call, "RetiringPrincipal", "RetiringServicePrincipal"),
        issuer=f"arn:aws:iam::{call.account}:root",
        operations=operations,
        subset=constraints.get("EncryptionContextSubset"),
        equals=constraints.get("EncryptionContextEquals"),
        source_arn=constraints.get("SourceArn"),
    )


def _principal(call: Call, member: str, service_member: str) -> str | None:
    """The principal that one of the two members names, None if neither does."""
    person, service = call.parameters.get(member), call.parameters.get(service_member)
    if person is not None and service is not None:
        raise invalid(f"Specify either {member} or {service_member}.")
    if person is None:
        return service
    arn, exists = Arn.parse(person), call.services.principal_exists
    if arn is None or arn.service not in {"iam", "sts"}:
        raise KMSError("InvalidArnException", f"Invalid arn {person}")
    if exists is not None and not exists(person):
        raise KMSError("InvalidArnException", f"Invalid arn {person}")
    return str(person)


def _alike(one: Grant, other: Grant) -> bool:
    """Whether two grants differ in nothing but id and time."""
    return {**vars(one), "id": "", "created": 0} == {**vars(other), "id": "", "created": 0}


def list_grants(call: Call) -> dict[str, Any]:
    """The grants of a key, all or those of one id or grantee."""
    columns = tables.grants.c
    where = and_(columns.region == call.region, columns.key == call.key.id)
    grantee = call.parameters.get("GranteePrincipal") or call.parameters.get(
        "GranteeServicePrincipal"
    )
    if grantee is not None:
        where = and_(where, columns.grantee == grantee)
    if "GrantId" in call.parameters:
        where = and_(where, columns.id == call.parameters["GrantId"])
    query = select(tables.grants).where(where)
    rows, rest = page(call, query, columns.id, default=_PAGE, most=_MOST)
    return {"Grants": [_entry(call, row) for row in rows]} | rest


def list_retirable_grants(call: Call) -> dict[str, Any]:
    """The grants in the region that a principal of the caller's account may retire."""
    call.authorise_identity("ListRetirableGrants")
    columns = tables.grants.c
    retiring = _principal(call, "RetiringPrincipal", "RetiringServicePrincipal")
    if retiring is None:
        raise invalid("Either RetiringPrincipal or RetiringServicePrincipal is required.")
    arn = Arn.parse(retiring)
    if arn is not None and arn.account != call.account:
        raise KMSError("AccessDeniedException", "The principal is of another account.")
    where = and_(columns.region == call.region, columns.retiring == retiring)
    query = select(tables.grants).where(where)
    rows, rest = page(call, query, columns.id, default=_PAGE, most=_MOST)
    return {"Grants": [_entry(call, row) for row in rows]} | rest


def retire_grant(call: Call) -> dict[str, Any]:
    """Give a grant up: its retiring principal may, its grantee if it says so, and by policy."""
    retired = _to_retire(call)
    key = call.keyring.find(call.connection, retired.region, retired.key)
    if key is None or retired.region != call.region:
        raise KMSError("InvalidGrantIdException")
    principal = call.caller.principal
    assert principal is not None
    retiring = retired.retiring is not None and is_named(principal, retired.retiring)
    own = "RetireGrant" in retired.operations and is_named(principal, retired.grantee)
    found = call.find(key.arn)
    if not (retiring or own):
        call.authorise(found, "RetireGrant", grants=False)  # a grant lets retire itself alone
    call.dry_run()
    call.services.grants.remove(call.connection, retired)
    return {}


def _to_retire(call: Call) -> Grant:
    """The grant that a token, or a key and an id, name."""
    token, grant_id = call.parameters.get("GrantToken"), call.parameters.get("GrantId")
    if token is not None:
        grant_id = call.services.grants.grant_id(token)
    elif grant_id is None or "KeyId" not in call.parameters:
        raise invalid("Either GrantToken, or KeyId and GrantId are required.")
    found = call.services.grants.find(call.connection, grant_id)
    if found is None:
        raise not_found(f"Grant ID {grant_id} not found")
    if token is None and call.find(call.parameters["KeyId"], alias=False).key.id != found.key:
        raise not_found(f"Grant ID {grant_id} not found")
    return found


def revoke_grant(call: Call) -> dict[str, Any]:
    """Take a grant back."""
    grant_id = call.parameters["GrantId"]
    found = call.services.grants.find(call.connection, grant_id)
    if found is None or (found.region, found.key) != (call.region, call.key.id):
        raise not_found(f"Grant ID {grant_id} not found")
    call.services.grants.remove(call.connection, found)
    return {}


def _entry(call: Call, row: Row[Any]) -> dict[str, Any]:
    found = grant(row)
    key = call.keyring.find(call.connection, found.region, found.key)
    assert key is not None
    constraints = {
        "EncryptionContextSubset": found.subset,
        "EncryptionContextEquals": found.equals,
        "SourceArn": found.source_arn,
    }
    entry: dict[str, Any] = {
        "KeyId": key_arn(found.region, key.account, found.key),
        "GrantId": found.id,
        "Name": found.name or "",
        "CreationDate": moment(found.created),
        "IssuingAccount": found.issuer,
        "Operations": sorted(found.operations),
    }
    entry |= _named("Grantee", found.grantee)
    if found.retiring is not None:
        entry |= _named("Retiring", found.retiring)
    given = {name: value for name, value in constraints.items() if value is not None}
    return entry | {"Constraints": given} if given else entry


def _named(role: str, principal: str) -> dict[str, str]:
    is_arn = principal.startswith("arn:")
    return {f"{role}Principal" if is_arn else f"{role}ServicePrincipal": principal}
