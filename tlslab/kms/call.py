"""One request on its way through: what every handler works with.

A handler is a function of a Call that returns the response's members. The key that an operation
names has been found, authorised and checked before; a handler that works with further keys asks
for them with `use`.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Connection

from tlslab.iam import Caller
from tlslab.iam.policy import Policy
from tlslab.kms.authorisation import (
    ContextValues,
    LazyContext,
    Question,
    require_identity,
    require_key,
)
from tlslab.kms.conditions import conditions
from tlslab.kms.errors import KMSError, unsupported
from tlslab.kms.grants import Grant, Grants
from tlslab.kms.keyring import Keyring
from tlslab.kms.material import MaterialError
from tlslab.kms.model import USABLE, Key, State, micros
from tlslab.kms.naming import Found, find_key

if TYPE_CHECKING:
    from tlslab.kms.operations.operation import Operation

_T = TypeVar("_T")


class NotPrepared(Exception):
    """Slow work that a request needs, to be done outside of the write; then it runs again."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__(name)
        self.name = name
        self.work = work


@dataclass(frozen=True)
class Services:
    """What all requests share."""

    keyring: Keyring
    grants: Grants
    blob_key: bytes = field(repr=False)
    wrap: Callable[..., bytes] = field(repr=False)
    unwrap: Callable[..., bytes] = field(repr=False)
    principal_exists: Callable[[str], bool] | None = None
    regions: frozenset[str] | None = None


@dataclass
class Call:
    """A request. `parameters` are validated; `prepared` holds results of slow work."""

    services: Services
    connection: Connection
    operation: Operation
    caller: Caller
    region: str
    time: datetime.datetime
    parameters: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prepared: Mapping[str, Any] = field(default_factory=dict, repr=False)
    target: Found | None = None
    grant: Grant | None = None  # what allowed it, if no policy did
    touched: dict[str, Key] = field(default_factory=dict)
    used: dict[str, tuple[Key, str]] = field(default_factory=dict)  # by ARN; see usage.py
    material_ids: dict[str, str] = field(default_factory=dict)  # for the audit record
    made: list[Key] = field(default_factory=list)  # keys that AWS made by itself

    @property
    def key(self) -> Key:
        """The key that the operation is about."""
        assert self.target is not None
        return self.target.key

    @property
    def account(self) -> str:
        """The caller's account."""
        assert self.caller.account is not None
        return self.caller.account

    @property
    def now(self) -> int:
        """The time of the request, in microseconds."""
        return micros(self.time)

    @property
    def keyring(self) -> Keyring:
        """The keys."""
        return self.services.keyring

    @property
    def encryption_context(self) -> Mapping[str, str]:
        """The encryption context of the request, empty if it has none."""
        return cast(Mapping[str, str], self.parameters.get("EncryptionContext", {}))

    def find(self, key_id: str, *, alias: bool = True) -> Found:
        """The key that an id, ARN or alias means; the audit record will name it."""
        found = find_key(self, key_id, alias=alias)
        self.touched[found.key.arn] = found.key
        return found

    def use(
        self,
        key_id: str,
        action: str,
        *,
        states: frozenset[State] = USABLE,
        alias: bool = True,
        encryption_context: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Found:
        """Find a key, and make sure that the caller may do `action` with it and its state allows.

        `extra` are condition keys of this use alone. Raises KMSError.
        """
        found = self.find(key_id, alias=alias)
        self.authorise(found, action, encryption_context=encryption_context, extra=extra)
        found.key.require(states)
        return found

    def authorise(
        self,
        found: Found,
        action: str,
        *,
        policy: Policy | None = None,
        encryption_context: Mapping[str, str] | None = None,
        extra: Mapping[str, str] | None = None,
        grants: bool = True,
    ) -> None:
        """Raise KMSError unless the caller may; by `policy` instead of the key's, if given.

        Without `grants` policies alone count.
        """
        key = found.key
        context = self.encryption_context if encryption_context is None else encryption_context
        question = self._question(f"kms:{action}", key.arn, found, context, extra)
        if key.account != self.account and not self.operation.cross_account:
            raise question.refused_abroad()
        self.grant = require_key(
            question,
            key,
            key.policy if policy is None else policy,
            lambda who: self.services.grants.of(self.connection, key, who) if grants else (),
            context,
        )

    def authorise_identity(self, action: str, resource: str = "*", region: str = "") -> None:
        """Raise KMSError unless the caller's own policies allow what concerns no key."""
        extra = {"aws:RequestedRegion": region or self.region}
        require_identity(self._question(f"kms:{action}", resource, None, {}, extra))

    def _question(
        self,
        action: str,
        resource: str,
        found: Found | None,
        encryption_context: Mapping[str, str],
        extra: Mapping[str, str] | None,
    ) -> Question:
        def build() -> ContextValues:
            return {**conditions(self, found, encryption_context), **(extra or {})}

        return Question(self.caller, action, resource, LazyContext(build))

    def require_usage(self, key: Key, usage: str, operation: str | None = None) -> None:
        """Raise KMSError unless the key is for that usage."""
        if key.usage != usage:
            raise KMSError(
                "InvalidKeyUsageException",
                f"{key.arn} key usage is {key.usage} which is not valid for "
                f"{operation or self.operation.name}.",
            )

    def require_origin(self, key: Key, origin: str) -> None:
        """Raise KMSError unless the key's material comes from there."""
        if key.origin != origin:
            raise unsupported(
                f"{key.arn} origin is {key.origin} which is not valid for this operation."
            )

    def require_customer_managed(self, key: Key) -> None:
        """Raise KMSError for keys that AWS manages: their owner changes nothing about them."""
        if key.manager != "CUSTOMER":
            raise KMSError("AccessDeniedException", f"{key.arn} is managed by AWS.")

    def dry_run(self) -> None:
        """End here if the request only wants to know whether it would succeed."""
        if self.parameters.get("DryRun"):
            raise KMSError(
                "DryRunOperationException",
                "The request would have succeeded, but the DryRun option is set.",
            )

    def note_use(self, key: Key, material_id: str | None = None, operation: str = "") -> None:
        """Note a cryptographic operation, for GetKeyLastUsage and the audit record."""
        self.used[key.arn] = (key, operation or self.operation.name)
        if material_id is not None and key.symmetric:
            self.material_ids[key.arn] = material_id

    def slow(self, name: str, work: Callable[[], _T]) -> _T:
        """The result of work that would hold up everybody's writes, such as making an RSA key."""
        if name not in self.prepared:
            raise NotPrepared(name, work)
        result = self.prepared[name]
        if isinstance(result, MaterialError):
            raise result
        return cast(_T, result)


def random_bytes(size: int) -> bytes:
    """Bytes from the operating system's generator."""
    return secrets.token_bytes(size)
