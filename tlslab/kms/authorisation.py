"""May the caller do this with this key?

The key policy is the root of every permission: a key whose policy neither allows a principal nor
delegates to its account cannot be used by it, whatever that account's own policies say.

    a deny in the key policy or in the caller's policies                       no
    the key policy allows the caller itself          (from another account: and its policies do)
    the key policy delegates to the caller's account, and the caller's policies allow
    a grant on the key permits it                    (from another account: and its policies allow)
    otherwise                                                                  no

What concerns no key (CreateKey, ListKeys, aliases) is up to the caller's policies alone.

Source: AWS KMS Developer Guide, "Key access and permissions" and "Condition keys for AWS KMS".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tlslab.iam import Caller, Principal
from tlslab.iam.policy import Access, Policy, evaluate
from tlslab.kms.errors import KMSError
from tlslab.kms.grants import Grant
from tlslab.kms.model import Key

ContextValues: TypeAlias = Mapping[str, "str | Sequence[str]"]


class LazyContext(Mapping[str, "str | Sequence[str]"]):
    """Condition keys that are put together when a policy first asks for one; most never do."""

    def __init__(self, build: Callable[[], ContextValues]) -> None:
        self._build = build
        self._built: ContextValues | None = None

    def _all(self) -> ContextValues:
        if self._built is None:
            self._built = self._build()
        return self._built

    def __getitem__(self, name: str) -> str | Sequence[str]:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


@dataclass(frozen=True)
class Question:
    """Whether `caller` may do `action` (`kms:Encrypt`) on `resource` under `conditions`."""

    caller: Caller
    action: str
    resource: str
    conditions: ContextValues

    def identity(self) -> Access:
        """What the caller's own policies say."""
        principal = self.caller.principal
        if principal is None:
            return Access.NONE
        return self._evaluate(principal.policies, resource_based=False)

    def policy(self, policy: Policy) -> Access:
        """What a key's policy says."""
        return self._evaluate((policy,), resource_based=True)

    def _evaluate(self, policies: Iterable[Policy], *, resource_based: bool) -> Access:
        return evaluate(
            policies,
            principal=self.caller.principal,
            action=self.action,
            resource=self.resource,
            context=self.conditions,
            resource_based=resource_based,
        )

    def refused(self, access: Access, policies: str) -> KMSError:
        """The error that says no, and which kind of policy said it or did not allow it."""
        if access is Access.DENY:
            return self._no(f"with an explicit deny in {policies}")
        kind = policies.partition(" ")[2]
        return self._no(f"because no {kind} allows the {self.action} action")

    def refused_abroad(self) -> KMSError:
        """The error for an operation that never works on another account's key."""
        return self._no("because the operation does not work on keys of other accounts")

    def _no(self, why: str) -> KMSError:
        principal = self.caller.principal
        who = "anonymous" if principal is None else principal.arn
        return KMSError(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: {self.action} on resource: "
            f"{self.resource} {why}",
        )


_IDENTITY = "an identity-based policy"
_RESOURCE = "a resource-based policy"


def require_identity(question: Question) -> None:
    """Raise KMSError unless the caller's own policies allow it."""
    access = question.identity()
    if access is not Access.ALLOW:
        raise question.refused(access, _IDENTITY)


def require_key(
    question: Question,
    key: Key,
    policy: Policy,
    grants: Callable[[Principal], Iterable[Grant]],
    encryption_context: Mapping[str, str],
) -> Grant | None:
    """Raise KMSError unless it is allowed; the grant that allows it, or None if policies do.

    `policy` is the key's, or one that is considered for it. `grants` are asked for only if needed.
    """
    theirs, ours = question.identity(), question.policy(policy)
    if theirs is Access.DENY:
        raise question.refused(theirs, _IDENTITY)
    if ours is Access.DENY:
        raise question.refused(ours, _RESOURCE)
    principal = question.caller.principal
    assert principal is not None
    foreign = principal.account != key.account and principal.kind != "service"
    if foreign and theirs is not Access.ALLOW:
        raise question.refused(theirs, _IDENTITY)
    if ours is Access.ALLOW or (ours is Access.DELEGATE and theirs is Access.ALLOW):
        return None
    operation = question.action.partition(":")[2]
    for grant in grants(principal):
        if grant.permits(principal, operation, encryption_context):
            return grant
    raise question.refused(Access.NONE, _IDENTITY if ours is Access.DELEGATE else _RESOURCE)
