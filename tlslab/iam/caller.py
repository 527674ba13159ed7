"""Who asks, and from where: the values that every authorisation and every audit record starts with.

    Principal   somebody known: an account's root, a user, a role's session, a service
    AccessKey   what a principal signs with
    Hop         how a request reached us
    Caller      a principal (or nobody) together with the request's circumstances

They decide nothing, and know neither signatures nor where they were read from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from tlslab.iam.policy import Policy

PrincipalKind: TypeAlias = Literal["root", "user", "assumed-role", "service"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody known by name.

    `arn` is `arn:aws:iam::ACCOUNT:root`, `...:user/NAME`, for a role's session
    `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`, for a service its name. `account` is 12 digits
    (of a service: the account it works for). `name` is the user's or the role's name, `root`, or
    the service's such as `s3.amazonaws.com`. `user_id` is what `aws:userid` holds: the account for
    a root, `AIDA...` for a user, `AROA...:SESSION` for a role's session.

    `policies` are identity-based ones; a root needs none, it may do everything in its account.
    `role_arn` is the ARN of the role behind a session, path included, and None for all others.
    """

    arn: str
    account: str
    kind: PrincipalKind
    name: str
    user_id: str
    policies: tuple[Policy, ...] = field(default=(), repr=False)
    role_arn: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def policy_arn(self) -> str:
        """What `aws:PrincipalArn` holds: the role's ARN for a session, its own for all others."""
        return self.role_arn or self.arn

    @property
    def session(self) -> str | None:
        """The name of a role's session, or None."""
        return self.user_id.partition(":")[2] if self.kind == "assumed-role" else None


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key that is in use. A role's session has a `token` that must come with it."""

    id: str
    secret: str = field(repr=False)
    principal: Principal
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Hop:
    """How a request reached us.

    `secure` is true if its TLS ended here, or at a proxy that proved to be ours; `source_ip` is the
    peer's address there. Nothing that a client writes into the request has a say in either.
    """

    secure: bool
    source_ip: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and its circumstances.

    `principal` is None for an anonymous request. `via` is the service that acts for the principal,
    as `kms:ViaService` names it (`s3.eu-west-2.amazonaws.com`), or None.
    """

    principal: Principal | None
    access_key_id: str | None
    source_ip: str
    user_agent: str
    secure: bool
    via: str | None = None

    @classmethod
    def service(cls, name: str, account: str) -> Caller:
        """A service such as `s3.amazonaws.com` that works for an account on its own behalf."""
        principal = Principal(arn=name, account=account, kind="service", name=name, user_id=name)
        return cls(principal, None, source_ip=name, user_agent=name, secure=True)

    @property
    def account(self) -> str | None:
        """The account of the principal, None for an anonymous request."""
        return None if self.principal is None else self.principal.account

    def for_service(self, via: str) -> Caller:
        """The same principal, with the service `via` acting for it."""
        return replace(self, via=via)
