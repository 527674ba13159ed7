"""JSON into statements, exactly: what is not understood is refused, never skipped.

A policy that is read more liberally than its author meant protects nothing. So unknown elements,
elements given twice, unknown operators and empty lists are errors here.

Source: IAM, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tlslab.iam.caller import Principal
from tlslab.iam.policy.condition import Condition, Presence, parse_condition
from tlslab.iam.policy.malformed import MalformedPolicy
from tlslab.iam.policy.pattern import Test, any_of
from tlslab.iam.policy.principal import Principals, parse_principals
from tlslab.iam.policy.situation import Situation

MAX_POLICY_BYTES = 128 * 1024
"""What the KMS API takes for a policy, the most of all; services set narrower limits themselves."""

_VERSIONS = {"2012-10-17": True, "2008-10-17": False}
"""By version: whether there are variables. Without a version it is the old one."""

_DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
_STATEMENT_ELEMENTS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
    "Condition",
}  # fmt: skip

_ACTION = re.compile(r"\*|(?:\*|[A-Za-z0-9-]+):[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|arn:[^:*?]+:[^:]+:[^:]*:[^:]*:.+|arn:[^*?]+\*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Names:
    """The patterns of an Action or Resource element; with `negated`, what they do not match."""

    patterns: tuple[str, ...]
    negated: bool
    test: Test = field(repr=False)

    def match(self, name: str, situation: Situation) -> bool:
        """Whether the statement covers this action (in lower case) or resource."""
        return self.test(name, situation) != self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `principals` is None where the element is missing, as in identity policies."""

    sid: str | None
    allows: bool
    principals: Principals | None
    actions: Names
    resources: Names
    conditions: tuple[Condition | Presence, ...]

    def covers(self, action: str, resource: str, situation: Situation) -> bool:
        """Whether it is about this action (in lower case) on this resource."""
        return self.actions.match(action, situation) and self.resources.match(resource, situation)

    def names(self, principal: Principal | None) -> bool:
        """Whether it is about this principal; it is about nobody without a Principal element."""
        return self.principals is not None and self.principals.match(principal, allows=self.allows)

    def names_directly(self, principal: Principal | None) -> bool:
        """Whether its allow is for the principal itself, not only for its account."""
        return self.principals is not None and self.principals.direct(principal)

    def holds(self, situation: Situation) -> bool:
        """Whether all of its conditions are met."""
        return all(condition.holds(situation) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was understood as a whole. Equal if the documents are.

    `text` is the document without white space between its elements: what size limits count.
    """

    text: str
    statements: tuple[Statement, ...] = field(compare=False, repr=False)

    @property
    def condition_keys(self) -> frozenset[str]:
        """The keys, in lower case, that its conditions ask for."""
        return frozenset(
            condition.key for statement in self.statements for condition in statement.conditions
        )

    @property
    def document(self) -> dict[str, Any]:
        """The document, as a fresh copy."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @classmethod
    def parse(
        cls, text: str | bytes | Mapping[str, Any], *, resource_based: bool | None = None
    ) -> Policy:
        """Read a policy.

        `resource_based` True demands a principal in every statement, False forbids it, None leaves
        it open. Raises MalformedPolicy.
        """
        document, normal = _load(text)
        _only(document, _DOCUMENT_ELEMENTS)
        version = document.get("Version", "2008-10-17")
        if not isinstance(version, str) or version not in _VERSIONS:
            raise MalformedPolicy("The policy must contain a valid version string")
        if not isinstance(document.get("Id", ""), str):
            raise _syntax()
        found = _required(document, "Statement")
        listed = found if isinstance(found, list) else [found]
        if not listed:
            raise MalformedPolicy("Missing required field Statement")
        statements = tuple(_statement(each, _VERSIONS[version]) for each in listed)
        sids = [statement.sid for statement in statements if statement.sid]
        if len(sids) != len(set(sids)):
            raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
        for statement in statements:
            _check_principals(statement, resource_based)
        return cls(normal, statements)


def _check_principals(statement: Statement, resource_based: bool | None) -> None:
    if resource_based is True and statement.principals is None:
        raise MalformedPolicy("Missing required field Principal")
    if resource_based is False and statement.principals is not None:
        raise MalformedPolicy("Policy document should not specify a principal.")


def _load(text: str | bytes | Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The document as an object of our own, and its text without white space."""
    if isinstance(text, str | bytes) and len(text) > MAX_POLICY_BYTES:
        raise MalformedPolicy("The policy is too long")
    try:
        source = json.dumps(text) if isinstance(text, Mapping) else text
        loaded = json.loads(
            source.decode() if isinstance(source, bytes) else source,
            object_pairs_hook=_object,
            parse_constant=_not_json,
        )
        normal = json.dumps(loaded, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(normal.encode())  # refuses halves of surrogate pairs, as dumps does infinities
    except (ValueError, TypeError, RecursionError):
        raise _not_a_policy() from None
    if not isinstance(loaded, dict):
        raise _not_a_policy()
    if size > MAX_POLICY_BYTES:
        raise MalformedPolicy("The policy is too long")
    return loaded, normal


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedPolicy("Duplicate element in policy")
    return found


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)


def _not_a_policy() -> MalformedPolicy:
    return MalformedPolicy("Policies must be valid JSON and the first byte must be '{'")


def _syntax() -> MalformedPolicy:
    return MalformedPolicy("Invalid policy syntax.")


def _only(element: Mapping[str, Any], known: set[str]) -> None:
    for name in element:
        if name not in known:
            raise MalformedPolicy(f"Unknown field {name}")


def _required(element: Mapping[str, Any], name: str) -> Any:
    if name not in element:
        raise MalformedPolicy(f"Missing required field {name}")
    return element[name]


def _statement(element: object, variables: bool) -> Statement:
    if not isinstance(element, dict):
        raise _syntax()
    _only(element, _STATEMENT_ELEMENTS)
    sid = element.get("Sid")
    if sid is not None and not isinstance(sid, str):
        raise _syntax()
    effect = _required(element, "Effect")
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicy(f"Invalid effect : {effect}")
    action, negated = _either(element, "Action")
    actions = _patterns(action, "Action", _ACTION, "Policy has invalid action")
    action_names = Names(actions, negated, any_of(map(str.lower, actions), variables=False))
    resource, negated = _either(element, "Resource")
    resources = _patterns(resource, "Resource", _RESOURCE, "Policy has invalid resource")
    resource_names = Names(resources, negated, any_of(resources, variables=variables))
    return Statement(
        sid,
        effect == "Allow",
        _principals(element),
        action_names,
        resource_names,
        _conditions(element.get("Condition", {}), variables),
    )


def _either(element: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    """The element or its negation, of which there must be exactly one; and whether it is that."""
    if name in element and f"Not{name}" in element:
        raise _syntax()
    if f"Not{name}" in element:
        return element[f"Not{name}"], True
    return _required(element, name), False


def _patterns(found: object, name: str, valid: re.Pattern[str], complaint: str) -> tuple[str, ...]:
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list):
        raise _syntax()
    if not texts:
        raise MalformedPolicy(f"Missing required field {name}")
    for text in texts:
        if not isinstance(text, str) or not valid.fullmatch(text):
            raise MalformedPolicy(complaint)
    return tuple(texts)


def _principals(element: Mapping[str, Any]) -> Principals | None:
    if "Principal" not in element and "NotPrincipal" not in element:
        return None
    found, negated = _either(element, "Principal")
    return parse_principals(found, negated=negated)


def _conditions(element: object, variables: bool) -> tuple[Condition | Presence, ...]:
    if not isinstance(element, dict):
        raise _syntax()
    conditions = []
    for name, keys in element.items():
        if not isinstance(keys, dict):
            raise _syntax()
        for key, found in keys.items():
            texts = [_text(value) for value in (found if isinstance(found, list) else [found])]
            if not texts:
                raise _syntax()
            conditions.append(parse_condition(name, key, texts, variables=variables))
    return tuple(conditions)


def _text(value: object) -> str:
    """A condition's value as text: JSON lets it be a number or a boolean as well."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise _syntax()
