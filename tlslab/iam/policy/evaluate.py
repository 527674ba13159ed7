"""Statements into a decision.

An explicit deny wins over everything; without an allow the answer is no. A resource's own policy
may also *delegate*: it names the principal's account instead of the principal, and so leaves it to
that account's identity-based policies.

Not here, because nothing in tlslab has them: permissions boundaries, service control policies,
session policies, access control lists.

Source: IAM, "Policy evaluation logic" and "Cross-account policy evaluation logic".
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from tlslab.iam.caller import Caller, Principal
from tlslab.iam.policy.document import Policy
from tlslab.iam.policy.situation import Context, Situation


class Access(Enum):
    """What policies say about a request."""

    ALLOW = "allow"
    DENY = "deny"  # explicitly; nothing can outweigh it
    DELEGATE = "delegate"  # of resource-based policies only: if the principal's own policies allow
    NONE = "none"  # no statement applies, so no


def evaluate(
    policies: Iterable[Policy],
    *,
    principal: Principal | None,
    action: str,
    resource: str,
    context: Context,
    resource_based: bool,
) -> Access:
    """What these policies say about `principal` doing `action` (`s3:GetObject`) to `resource`.

    `resource_based` says whether they belong to the resource (statements name principals) or to the
    principal (they name none; a root may do everything in its account). `resource` is an ARN, or
    `*` for an action that has none. Never raises.
    """
    if not resource_based and principal is not None and principal.kind == "root":
        return Access.ALLOW
    situation = Situation(context)
    folded = action.lower()
    access = Access.NONE
    for policy in policies:
        for statement in policy.statements:
            if access is Access.ALLOW and statement.allows:
                continue  # only a deny can still change the answer
            if not (
                statement.covers(folded, resource, situation)
                and (not resource_based or statement.names(principal))
                and (resource_based or statement.principals is None)
                and statement.holds(situation)
            ):
                continue
            if not statement.allows:
                return Access.DENY
            direct = not resource_based or statement.names_directly(principal)
            access = Access.ALLOW if direct else Access.DELEGATE
    return access


def decide_resource(
    caller: Caller,
    action: str,
    resource: str,
    *,
    owner_account: str,
    resource_policy: Policy | None,
    context: Context,
) -> Access:
    """Whether `caller` may act on a resource that `owner_account` owns: ALLOW, DENY or NONE.

    In the owner's account one of the identity's and the resource's policies is enough; from another
    account both must allow. Somebody without an identity, or a service, has the resource's policy
    alone. An explicit deny on either side wins, also over the owner's root.
    """
    principal = caller.principal
    theirs = (
        Access.NONE
        if principal is None
        else evaluate(
            principal.policies,
            principal=principal,
            action=action,
            resource=resource,
            context=context,
            resource_based=False,
        )
    )
    ours = evaluate(
        () if resource_policy is None else (resource_policy,),
        principal=principal,
        action=action,
        resource=resource,
        context=context,
        resource_based=True,
    )
    if Access.DENY in (theirs, ours):
        return Access.DENY
    if principal is None or principal.kind == "service":
        allowed = ours is Access.ALLOW
    elif principal.account == owner_account:
        allowed = Access.ALLOW in (theirs, ours)
    else:
        allowed = theirs is Access.ALLOW and ours is not Access.NONE
    return Access.ALLOW if allowed else Access.NONE
