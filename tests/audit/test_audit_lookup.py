"""Looking up: by every attribute, by time, page by page, and no more than a page's work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import Connection

from tlslab.audit import (
    Attribute,
    Event,
    Found,
    Page,
    Position,
    Query,
    Resource,
    Trail,
    lookup,
    metadata,
)
from tlslab.audit.trail import microseconds
from tlslab.database import Database
from tlslab.iam import Caller, Principal
from tlslab.seal import Seal

ACCOUNT, OTHER = "111122223333", "444455556666"
BOB = Principal(f"arn:aws:iam::{ACCOUNT}:user/bob", ACCOUNT, "user", "bob", "AIDABOB")
MALLORY = Principal(f"arn:aws:iam::{OTHER}:user/mallory", OTHER, "user", "mallory", "AIDAM")
KEYS = [Resource(f"arn:aws:kms:eu-west-2:{ACCOUNT}:key/{name}", ACCOUNT) for name in ("k", "k2")]
BUCKET = Resource("arn:aws:s3:::ledger", ACCOUNT, "AWS::S3::Bucket")


def caller(principal: Principal) -> Caller:
    return Caller(principal, f"AKIA{principal.name.upper()}", "192.0.2.7", "tests", secure=True)


@pytest.fixture
async def trail(database_url: str, make_event: Callable[..., Event]) -> Iterator[Trail]:  # type: ignore[misc]
    """Ten events, one a second, each of them different in one thing."""
    changes: list[dict[str, object]] = [
        {},
        {"name": "Encrypt"},
        {"source": "s3.amazonaws.com"},
        {"caller": caller(BOB)},
        {"caller": caller(MALLORY), "resources": (KEYS[0],)},
        {"resources": (KEYS[1],)},
        {"resources": tuple(KEYS)},
        {"read_only": False},
        {"region": "us-east-1"},
        {"resources": (BUCKET,), "event_id": "the-id"},
    ]
    with closing(Database(database_url, metadata)) as database:
        trail = Trail(database, Seal.ephemeral())

        def write(connection: Connection) -> None:
            for second, change in enumerate(changes):
                trail.append(connection, make_event(second, **change))

        await database.write(write)
        yield trail


async def numbers(trail: Trail, query: Query, limit: int = 50) -> list[int]:
    """The seconds of all records found, page after page."""
    found, after = list[Found](), None
    while True:
        page = await trail.lookup(query, after=after, limit=limit)
        assert len(page.found) <= limit
        found += page.found
        if page.next is None:
            return [record.number - 1 for record in found]
        after = page.next


CASES: list[tuple[Query, list[int]]] = [
    (Query(), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    (Query(attribute=Attribute.EVENT_NAME, value="Encrypt"), [1]),
    (Query(attribute=Attribute.EVENT_NAME, value="encrypt"), []),
    (Query(attribute=Attribute.EVENT_NAME, value="Encryp_"), []),
    (Query(attribute=Attribute.EVENT_SOURCE, value="s3.amazonaws.com"), [2]),
    (Query(attribute=Attribute.USERNAME, value="bob"), [3]),
    (Query(attribute=Attribute.USERNAME, value="bo"), []),
    (Query(attribute=Attribute.ACCESS_KEY_ID, value="AKIAMALLORY"), [4]),
    (Query(attribute=Attribute.READ_ONLY, value="false"), [7]),
    (Query(attribute=Attribute.RESOURCE_NAME, value=KEYS[1].arn), [6, 5]),
    (Query(attribute=Attribute.RESOURCE_NAME, value=KEYS[0].arn), [6, 4]),
    (Query(attribute=Attribute.RESOURCE_NAME, value=KEYS[0].arn.upper()), []),
    (Query(attribute=Attribute.RESOURCE_TYPE, value="AWS::S3::Bucket"), [9]),
    (Query(attribute=Attribute.EVENT_ID, value="the-id"), [9]),
    (Query(attribute=Attribute.EVENT_ID, value="another"), []),
    (Query(account=OTHER), [4]),
    (Query(account=ACCOUNT), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    (Query(account="11112222333"), []),
    (Query(region="us-east-1"), [8]),
    (Query(region="us-east-1", attribute=Attribute.EVENT_NAME, value="Encrypt"), []),
]


async def test_every_attribute_finds_its_records(trail: Trail) -> None:
    for query, expected in CASES:
        assert await numbers(trail, query) == expected, query
        assert await numbers(trail, query, limit=1) == expected, query


async def test_times_include_both_ends(trail: Trail, make_event: Callable[..., Event]) -> None:
    noon = microseconds(make_event(0).time)
    second = 1_000_000
    for start, end, expected in (
        (3, 5, [5, 4, 3]),
        (9, None, [9]),
        (10, None, []),
        (None, 0, [0]),
        (None, -1, []),
        (5, 4, []),
    ):
        query = Query(
            start=None if start is None else noon + start * second,
            end=None if end is None else noon + end * second,
        )
        assert await numbers(trail, query, limit=2) == expected


async def test_a_call_looks_at_so_many_records_and_no_more(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rare record is found on a later page; the pages before say where to go on."""
    monkeypatch.setattr(lookup, "SCANNED", 4)
    query = Query(attribute=Attribute.EVENT_NAME, value="Encrypt")
    first = await trail.lookup(query)
    assert first.found == ()
    assert first.next is not None
    assert await numbers(trail, query) == [1]
    assert await numbers(trail, Query(), limit=3) == list(range(9, -1, -1))
    by_id = Query(attribute=Attribute.EVENT_ID, value="the-id")
    assert (await trail.lookup(by_id)).next is None


async def test_records_of_one_moment_are_all_found(
    trail: Trail, make_event: Callable[..., Event]
) -> None:
    same = make_event(0).time
    for _ in range(5):
        await trail._database.write(lambda c: trail.append(c, make_event(0, time=same)))
    assert sorted(await numbers(trail, Query(), limit=2)) == list(range(15))


async def test_reading_on_follows_the_order_of_writing(trail: Trail) -> None:
    first = await trail.read_after(0, limit=4)
    assert [found.number for found in first] == [1, 2, 3, 4]
    rest = await trail.read_after(4)
    assert [found.number for found in rest] == [5, 6, 7, 8, 9, 10]
    assert await trail.read_after(10) == ()
    assert json.loads(first[0].record)["eventName"] == "Decrypt"


async def test_new_records_do_not_move_the_next_page(
    trail: Trail, make_event: Callable[..., Event]
) -> None:
    page: Page = await trail.lookup(Query(), limit=3)
    await trail._database.write(lambda c: trail.append(c, make_event(60)))
    assert isinstance(page.next, Position)
    following = await trail.lookup(Query(), after=page.next, limit=3)
    assert [found.number for found in following.found] == [7, 6, 5]
