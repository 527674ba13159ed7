"""Events to append."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tlslab.audit import Event, Resource
from tlslab.iam import Caller, Principal

NOW = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)
ACCOUNT = "111122223333"
ALICE = Principal(f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, "user", "alice", "AIDAALICE")
CALLER = Caller(ALICE, "AKIAALICE", "192.0.2.7", "tests", secure=True)
KEY = Resource(f"arn:aws:kms:eu-west-2:{ACCOUNT}:key/k1", ACCOUNT)

MakeEvent: TypeAlias = Callable[..., Event]


@pytest.fixture
def make_event() -> MakeEvent:
    """Makes an event of alice's: the number of seconds after noon, and what is to differ."""

    def make(second: int, **changes: object) -> Event:
        plain: dict[str, object] = {
            "time": NOW + datetime.timedelta(seconds=second),
            "source": "kms.amazonaws.com",
            "name": "Decrypt",
            "region": "eu-west-2",
            "caller": CALLER,
            "parameters": {"encryptionContext": {"number": str(second)}},
            "resources": (KEY,),
        }
        return Event(**(plain | changes))  # type: ignore[arg-type]

    return make
