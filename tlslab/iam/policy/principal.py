"""The Principal and NotPrincipal elements: whom a statement of a resource's policy is about.

    "*"  {"AWS": "*"}                                    everybody, also without a signature; the
                                                         first form means services as well
    {"AWS": "111122223333" | "arn:aws:iam::...:root"}    an account: to deny, all of its principals;
                                                         to allow, it is left to the account
    {"AWS": "arn:aws:iam::...:user/NAME" | ".../role/…"} this user; every session of this role
    {"AWS": "arn:aws:sts::...:assumed-role/ROLE/NAME"}   this session
    {"AWS": "AIDA..." | "AROA..."}                       the same by unique id
    {"Service": "s3.amazonaws.com"}                      a service

Other wildcards are not accepted, nor are canonical user ids; federated identities are accepted and
are nobody here.

Source: IAM, "IAM JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tlslab.iam.arn import Arn, is_account, root_arn
from tlslab.iam.caller import Principal
from tlslab.iam.policy.malformed import MalformedPolicy

_IDENTITY = re.compile(r"(?:user|role)/[\x21-\x7e]+")
_SESSION = re.compile(r"assumed-role/[\w+=,.@-]+/[\w+=,.@-]+", re.ASCII)
_UNIQUE_ID = re.compile(r"(?:AIDA|AROA)[A-Z0-9]{12,124}")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_FEDERATED = re.compile(r"[\x21-\x7e]{1,256}")


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a statement names; with `negated`, everybody but these.

    `named` are ARNs, unique ids and names of services; an account is there by its root's ARN.
    """

    named: frozenset[str]
    everybody: bool
    services_too: bool
    negated: bool

    @property
    def identities(self) -> frozenset[str]:
        """The ARNs and unique ids among the names: what may exist or not."""
        return frozenset(name for name in self.named if _aws(name))

    def match(self, principal: Principal | None, *, allows: bool) -> bool:
        """Whether the statement is about this principal (None for an anonymous request)."""
        if not self.negated:
            return self._everybody(principal) or not self.named.isdisjoint(_names(principal))
        names = _chain(principal)
        if allows:  # whoever is listed by any of his names is excepted
            return self.named.isdisjoint(_names(principal))
        # To be spared from a denial, account, role and session must all be listed.
        return not names or not self.named.issuperset(names)

    def direct(self, principal: Principal | None) -> bool:
        """Whether a matching allow is for the principal itself, and not only for its account."""
        if self.negated or self._everybody(principal) or principal is None:
            return True
        names = _names(principal)
        if principal.kind != "root":
            names -= {root_arn(principal.account)}
        return not self.named.isdisjoint(names)

    def _everybody(self, principal: Principal | None) -> bool:
        service = principal is not None and principal.kind == "service"
        return self.services_too if service else self.everybody


def parse_principals(element: object, *, negated: bool) -> Principals:
    """Read a Principal or NotPrincipal element. Raises MalformedPolicy."""
    if element == "*":
        return _everyone(services_too=True, negated=negated)
    if not isinstance(element, Mapping) or not element:
        raise _invalid()
    named: set[str] = set()
    for kind, found in element.items():
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not texts or kind not in _READERS:
            raise _invalid()
        for text in texts:
            name = _READERS[kind](text) if isinstance(text, str) else None
            if name is None:
                raise _invalid()
            named.add(name)
    if "*" in named:
        return _everyone(services_too=False, negated=negated, named=frozenset(named - {"*"}))
    return Principals(frozenset(named), everybody=False, services_too=False, negated=negated)


def _everyone(
    *, services_too: bool, negated: bool, named: frozenset[str] = frozenset()
) -> Principals:
    if negated:  # everybody but everybody: surely not what was meant
        raise _invalid()
    return Principals(named, everybody=True, services_too=services_too, negated=False)


def _invalid() -> MalformedPolicy:
    return MalformedPolicy("Invalid principal in policy")


def _aws(text: str) -> str | None:
    if text == "*" or _UNIQUE_ID.fullmatch(text):
        return text
    if is_account(text):
        return root_arn(text)
    arn = Arn.parse(text)
    if arn is None or arn.region or not is_account(arn.account) or "*" in text or "?" in text:
        return None
    if arn.service == "iam" and (arn.resource == "root" or _IDENTITY.fullmatch(arn.resource)):
        return text
    return text if arn.service == "sts" and _SESSION.fullmatch(arn.resource) else None


def _service(text: str) -> str | None:
    return text if _SERVICE.fullmatch(text) else None


def _federated(text: str) -> str | None:
    return text if _FEDERATED.fullmatch(text) and "*" not in text else None


_READERS = {"AWS": _aws, "Service": _service, "Federated": _federated}


def _chain(principal: Principal | None) -> set[str]:
    """The ARNs that a request is made with: account, role, session."""
    if principal is None:
        return set()
    if principal.kind == "service":
        return {principal.name}
    return {root_arn(principal.account), principal.policy_arn, principal.arn}


def _names(principal: Principal | None) -> set[str]:
    """Everything that a principal may be named by."""
    names = _chain(principal)
    if principal is not None and principal.kind in {"user", "assumed-role"}:
        names.add(principal.user_id.partition(":")[0])
    return names
