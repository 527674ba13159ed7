"""The identities' file: TOML text into principals with their keys, and a document into TOML text.

It does no I/O, and knows nothing of who asks for what. `identities.py` shows the format.

Source: IAM, "IAM identifiers", "IAM and AWS STS quotas" and "AccessKey" in the API reference.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tlslab.errors import UsageError
from tlslab.iam.arn import PARTITION, is_account, root_arn
from tlslab.iam.caller import AccessKey, Principal
from tlslab.iam.policy import MalformedPolicy, Policy
from tlslab.iam.section import Section

MAX_IDENTITY_POLICY_CHARACTERS = 10_240
"""IAM's limit for the inline policies of a role; white space between elements does not count."""

MAX_TAGS = 50
"""IAM's limit for a user or a role."""

_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_NAME_IS = "1 to 64 letters, digits and _+=,.@-"
_SESSION = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_PATH = re.compile(r"/(?:[!-)+->@-~]{1,510}/)?")  # printable ASCII but the wildcards * and ?
_POLICY_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}")
_KEY_ID = re.compile(r"[A-Za-z0-9_]{16,128}")
_SECRET = re.compile(r"[!-~]{16,128}")
_TOKEN = re.compile(r"[!-~]{16,2048}")
_USER_ID = re.compile(r"AIDA[A-Z0-9]{12,124}")
_ROLE_ID = re.compile(r"AROA[A-Z0-9]{12,124}")
_TAG = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_TAG_VALUE = re.compile(r"[^\x00-\x1f\x7f]{0,256}")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file says. `arns` are those of accounts, users and roles, and the unique ids."""

    accounts: tuple[str, ...]
    arns: frozenset[str]
    keys: Mapping[str, AccessKey] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Identity:
    """A user or a role, before anybody signs as it."""

    name: str
    arn: str
    id: str
    policies: tuple[Policy, ...]
    tags: tuple[tuple[str, str], ...]


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """TOML text as a document. Raises UsageError that names `file`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: not TOML: {str(error).lower()}", hint="see toml.io") from None
    except RecursionError:
        raise UsageError(f"{file}: nested too deeply", hint="accounts hold tables") from None


def read_document(document: Mapping[str, Any], file: str) -> Contents:
    """The identities in a document. Raises UsageError that names `file` and the place in it."""
    top = Section(file, "", "", document)
    top.only("accounts")
    arns: set[str] = set()
    keys: dict[str, AccessKey] = {}
    seen: set[str] = set()
    accounts = []
    for account in top.tables("accounts", is_account, "12 digits in quotes"):
        account.only("root", "users", "roles")
        accounts.append(account.key)
        arns.add(root_arn(account.key))
        for section, key, active in _keys_of(account, account.key, arns):
            if key.id in seen:
                raise section.error("id is another key's already", "ids are unique in the file")
            seen.add(key.id)
            if active:
                keys[key.id] = key
    if not accounts:
        raise top.error("there is no account", "[accounts.111122223333.root]")
    return Contents(tuple(accounts), frozenset(arns), keys)


def _keys_of(
    account: Section, number: str, arns: set[str]
) -> Iterator[tuple[Section, AccessKey, bool]]:
    """Every key of an account, with where it stands and whether it is in use."""
    root = account.inner("root")
    root.only("access_keys")
    principal = Principal(root_arn(number), number, "root", "root", number)
    for section in root.listed("access_keys"):
        yield section, *_access_key(section, principal)
    for user in account.tables("users", _NAME.fullmatch, _NAME_IS):
        user.only("path", "id", "tags", "policies", "access_keys")
        identity = _identity(user, number, "user", _USER_ID)
        arns |= {identity.arn, identity.id}
        principal = Principal(
            identity.arn, number, "user", identity.name, identity.id, identity.policies,
            tags=identity.tags,
        )  # fmt: skip
        for section in user.listed("access_keys"):
            yield section, *_access_key(section, principal)
    for role in account.tables("roles", _NAME.fullmatch, _NAME_IS):
        role.only("path", "id", "tags", "policies", "sessions")
        identity = _identity(role, number, "role", _ROLE_ID)
        arns |= {identity.arn, identity.id}
        for section in role.listed("sessions"):
            yield section, *_session_key(section, number, identity)


def _identity(section: Section, account: str, kind: str, valid_id: re.Pattern[str]) -> _Identity:
    path = section.text("path", _PATH, "/ or /.../ in printable ASCII", "/")
    arn = f"arn:{PARTITION}:iam::{account}:{kind}{path}{section.key}"
    prefix = valid_id.pattern[:4]
    derived = prefix + base64.b32encode(hashlib.sha256(arn.encode()).digest())[:17].decode()
    return _Identity(
        section.key,
        arn,
        section.text("id", valid_id, f"{prefix} and 12 to 124 capitals and digits", derived),
        _policies(section.inner("policies")),
        _tags(section.inner("tags")),
    )


def _policies(section: Section) -> tuple[Policy, ...]:
    policies = []
    for name, found in section.table.items():
        if not _POLICY_NAME.fullmatch(name):
            raise section.error(
                f"{name} cannot be a name here", "1 to 128 letters, digits, _+=,.@-"
            )
        if not isinstance(found, str | dict):
            raise section.error(f"{name} cannot be that", "it is a policy in JSON, or as a table")
        try:
            policies.append(Policy.parse(found, resource_based=False))
        except MalformedPolicy as error:
            raise section.error(
                f"{name} is no policy: {error.message}", "see its grammar"
            ) from None
    if sum(len(policy.text) for policy in policies) > MAX_IDENTITY_POLICY_CHARACTERS:
        raise section.error(
            "the policies are too long", f"at most {MAX_IDENTITY_POLICY_CHARACTERS} characters"
        )
    return tuple(policies)


def _tags(section: Section) -> tuple[tuple[str, str], ...]:
    if len(section.table) > MAX_TAGS:
        raise section.error("there are too many tags", f"at most {MAX_TAGS}")
    for name in section.table:
        if not _TAG.fullmatch(name):
            raise section.error("a name cannot be that", "1 to 128 printable characters")
    value = "at most 256 printable characters"
    return tuple((name, section.text(name, _TAG_VALUE, value)) for name in section.table)


def _access_key(section: Section, principal: Principal) -> tuple[AccessKey, bool]:
    section.only("id", "secret", "active")
    return AccessKey(*_id_and_secret(section), principal), section.flag("active", True)


def _session_key(section: Section, account: str, role: _Identity) -> tuple[AccessKey, bool]:
    section.only("name", "id", "secret", "token", "active")
    session = section.text("name", _SESSION, "2 to 64 letters, digits and _+=,.@-")
    principal = Principal(
        f"arn:{PARTITION}:sts::{account}:assumed-role/{role.name}/{session}",
        account,
        "assumed-role",
        role.name,
        f"{role.id}:{session}",
        role.policies,
        role.arn,
        role.tags,
    )
    token = section.text("token", _TOKEN, "16 to 2048 printable characters")
    key = AccessKey(*_id_and_secret(section), principal, token)
    return key, section.flag("active", True)


def _id_and_secret(section: Section) -> tuple[str, str]:
    return (
        section.text("id", _KEY_ID, "16 to 128 letters, digits and _"),
        section.text("secret", _SECRET, "16 to 128 printable ASCII characters"),
    )


def write_toml(document: Mapping[str, Any]) -> str:
    """A document as TOML text: tables of strings, booleans and lists of such tables."""
    return "\n".join(_lines(document, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
    if path and (plain or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for name, value in plain.items():
        yield f"{_key(name)} = {_value(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _lines(value, (*path, name))


_BARE = re.compile(r"[A-Za-z0-9_-]+")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _basic(name)


def _basic(text: str) -> str:
    """A basic string: JSON's, which leaves the delete character as it is and TOML does not."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + "".join(f"\n  {_value(each)}," for each in value) + "\n]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items())
        return f"{{ {inner} }}"
    text = str(value)
    literal = '"' in text and "'" not in text and text.isprintable()  # JSON reads better so
    return f"'''{text}'''" if literal else _basic(text)


def normal_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with every policy in JSON, so that only tables, strings and lists remain.

    It must be one that `read_document` took.
    """
    return {
        "accounts": {number: _normal(account) for number, account in document["accounts"].items()}
    }


def _normal(account: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(account)
    for kind in ("users", "roles"):
        if kind in found:
            found[kind] = {name: _normal_identity(table) for name, table in found[kind].items()}
    return found


def _normal_identity(table: Mapping[str, Any]) -> dict[str, Any]:
    if "policies" not in table:
        return dict(table)
    policies = {
        name: found if isinstance(found, str) else json.dumps(found)
        for name, found in table["policies"].items()
    }
    return {**table, "policies": policies}
