"""What the table repeats of a record, to be searched by; derived from the record alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the table repeats of a record, to be searched."""
    identity = record["userIdentity"]
    about = record.get("resources", ())
    accounts = [record["recipientAccountId"], *(resource["accountId"] for resource in about)]
    names = [field for resource in about for field in (resource["type"], resource["ARN"])]
    return {
        "event_id": searchable(record["eventID"]),
        "source": searchable(record["eventSource"]),
        "name": searchable(record["eventName"]),
        "region": searchable(record["awsRegion"]),
        "username": searchable(username(identity)),
        "access_key_id": searchable(identity.get("accessKeyId", "")),
        "read_only": record["readOnly"],
        "accounts": _lines(dict.fromkeys(accounts)),
        "resources": _lines(names),
    }


def username(identity: Mapping[str, Any]) -> str:
    """The Username that LookupEvents shows: of a role's session its name, else ""."""
    if identity["type"] == "Root":
        return "root"
    if identity["type"] == "AssumedRole":
        session: str = identity["principalId"].partition(":")[2]
        return session
    name: str = identity.get("userName", "")
    return name


def searchable(text: str) -> str:
    """Text as every database takes it, without what separates the items of a list."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _lines(items: Iterable[str]) -> str:
    return "\n" + "".join(f"{searchable(item)}\n" for item in items)
