"""Listings: every page of them against a plain computation, and what a page costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import event, insert

from tests.store_engine.conftest import ROOT
from tlslab.store import tables
from tlslab.store.layout import Layout
from tlslab.store.listing import Cursor, walk

if TYPE_CHECKING:
    from tests.store_engine.conftest import World
    from tlslab.store.engine import ObjectStore

KEYS = ["a", "a/1", "a/2", "a/b/1", "a0", "b/", "b/1", "c", "é/1", "é/2", "😀", "\x00/x", "z" * 900]


def expected(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """Keys and common prefixes in order, each once."""
    found: list[str] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        shown = key
        if delimiter and delimiter in rest:
            shown = prefix + rest[: rest.index(delimiter) + len(delimiter)]
        if not found or found[-1] != shown:
            found.append(shown)
    return found


async def test_pages_of_objects(listed: ObjectStore) -> None:
    for prefix in ("", "a", "a/", "b/", "é", "none"):
        for delimiter in ("", "/", "/1"):
            for limit in (1, 2, 3, 100):
                shown = await all_pages(listed, prefix, delimiter, limit)
                assert shown == expected(KEYS, prefix, delimiter), (prefix, delimiter, limit)


async def all_pages(store: ObjectStore, prefix: str, delimiter: str, limit: int) -> list[str]:
    shown: list[str] = []
    after = ""
    while True:
        page = await store.list_objects(
            "letters", prefix=prefix, delimiter=delimiter, after=after, limit=limit
        )
        names = [info.key for info in page.objects] + list(page.prefixes)
        shown += sorted(names, key=str.encode)
        assert len(names) <= limit
        if page.next is None:
            return shown
        assert page.next == shown[-1]
        after = page.next


@pytest.fixture
async def listed(local_store: ObjectStore) -> ObjectStore:
    for key in KEYS:
        await local_store.put(ROOT, "letters", key, key.encode())
    return local_store


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("delimiter", ["", "/"])
async def test_pages_of_versions(store: ObjectStore, delimiter: str, limit: int) -> None:
    await store.put(ROOT, "letters", "a", b"")
    await store.configure_bucket("letters", versioning="Enabled")
    for key in ("a", "b/1", "a", "b/2", "c", "a"):
        await store.put(ROOT, "letters", key, b"")
    await store.delete(ROOT, "letters", "c")
    shown: list[tuple[str, bool, bool]] = []
    after_key, after_version = "", None
    while True:
        page = await store.list_versions(
            "letters",
            delimiter=delimiter,
            after_key=after_key,
            after_version=after_version,
            limit=limit,
        )
        rows = [(one.key, one.is_latest, one.delete_marker) for one in page.versions]
        rows += [(prefix, False, False) for prefix in page.prefixes]
        shown += sorted(rows, key=lambda row: row[0])
        if page.next_key is None:
            break
        after_key, after_version = page.next_key, page.next_version
    folder = [("b/", False, False)] if delimiter else [("b/1", True, False), ("b/2", True, False)]
    a = [("a", True, False), ("a", False, False), ("a", False, False), ("a", False, False)]
    assert shown == [*a, *folder, ("c", True, True), ("c", False, False)]


async def test_a_page_of_versions_ends_within_the_null_version(store: ObjectStore) -> None:
    await store.put(ROOT, "letters", "a", b"")
    await store.configure_bucket("letters", versioning="Enabled")
    await store.put(ROOT, "letters", "a", b"")
    await store.put(ROOT, "letters", "b", b"")
    page = await store.list_versions("letters", after_key="a", after_version="null")
    assert [one.key for one in page.versions] == ["b"]
    page = await store.list_versions("letters", after_key="a")
    assert [one.key for one in page.versions] == ["b"]


@pytest.mark.parametrize("limit", [1, 100])
async def test_pages_of_uploads(store: ObjectStore, world: World, limit: int) -> None:
    begun = []
    for key in ("b/1", "a", "a", "b/2", "a"):
        begun.append((key, (await store.create_upload(ROOT, "letters", key)).id))
        world.later(seconds=1)
    shown: list[tuple[str, str]] = []
    after_key, after_upload = "", None
    while True:
        page = await store.list_uploads(
            "letters", after_key=after_key, after_upload=after_upload, limit=limit
        )
        shown += [(one.key, one.id) for one in page.uploads]
        if page.next_key is None:
            break
        after_key, after_upload = page.next_key, page.next_upload
    assert shown == sorted(begun, key=lambda one: one[0])
    page = await store.list_uploads("letters", delimiter="/")
    assert ([one.key for one in page.uploads], page.prefixes) == (["a"] * 3, ("b/",))


async def test_a_page_of_none(listed: ObjectStore) -> None:
    page = await listed.list_objects("letters", limit=0)
    assert (page.objects, page.prefixes, page.next) == ((), (), None)


@pytest.mark.parametrize("objects", [100, 3000])
async def test_a_page_costs_what_it_shows(store: ObjectStore, world: World, objects: int) -> None:
    """Queries for a page, counted in the driver: the same in a bucket 30 times as large."""
    await store.put(ROOT, "letters", "f0/000000", b"")

    def fill(connection: Any) -> None:
        row = connection.execute(tables.objects.select()).one()._asdict()
        rows = [{**row, "key": f"f{n % 3}/{n:06}".encode(), "rank": n} for n in range(1, objects)]
        connection.execute(insert(tables.objects), rows)

    await world.database.write(fill)
    queries = 0

    def watch(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal queries
        queries += "store_objects" in statement

    event.listen(world.database._reading, "after_cursor_execute", watch)
    try:
        page = await store.list_objects("letters", delimiter="/")
    finally:
        event.remove(world.database._reading, "after_cursor_execute", watch)
    assert page.prefixes == ("f0/", "f1/", "f2/")
    assert queries <= len(page.prefixes) + 1


@given(
    keys=st.lists(st.text("ab/", min_size=1, max_size=6), unique=True),
    prefix=st.text("ab/", max_size=2),
    delimiter=st.sampled_from(["", "/", "a", "ab"]),
    after=st.text("ab/", max_size=3),
    limit=st.integers(1, 5),
)
@example(  # the second query is asked for fewer than the first
    keys=["/", "//", "/a", "/aa", "a", "a/", "a/a", "aa", "aaa"],
    prefix="", delimiter="/", after="", limit=4,
)  # fmt: skip
def test_walking_shows_what_is_after(
    keys: list[str], prefix: str, delimiter: str, after: str, limit: int
) -> None:
    class Key:
        def __init__(self, key: str) -> None:
            self.key, self.rank = key.encode(), 0

    rows = [Key(key) for key in sorted(keys)]

    def fetch(cursor: Cursor, count: int) -> Any:
        found = [
            row
            for row in rows
            if row.key.startswith(prefix.encode())
            and (row.key > cursor.key or (cursor.at and row.key == cursor.key))
        ]
        return found[:count]

    items, more = walk(
        fetch,
        prefix=prefix.encode(),
        delimiter=delimiter.encode(),
        start=Cursor(after.encode()),
        limit=limit,
    )
    shown = [(item if isinstance(item, bytes) else item.key).decode() for item in items]
    later = [key for key in keys if key > after]
    if delimiter and after.startswith(prefix) and after.endswith(delimiter):
        head = after[len(prefix) :]
        if head and head.find(delimiter) == len(head) - len(delimiter):
            later = [key for key in later if not key.startswith(after)]
    want = expected(later, prefix, delimiter)
    assert shown == want[:limit]
    assert more == (len(want) > limit)


@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    gaps=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    span=st.tuples(st.integers(0, 50), st.integers(0, 50)),
)
def test_a_layout_finds_every_byte(
    sizes: list[int], gaps: list[int], span: tuple[int, int]
) -> None:
    numbers = [sum(gaps[: index + 1]) for index in range(len(sizes))]
    layout = Layout.of(zip(numbers, sizes, strict=True))
    assert Layout.from_json(layout.to_json()) == layout
    assert (layout.size, layout.count) == (sum(sizes), len(sizes))
    whole = [
        (number, at) for number, size in zip(numbers, sizes, strict=True) for at in range(size)
    ]
    start, stop = min(span), max(span)
    found = [
        (stretch.number, at)
        for stretch in layout.stretches(start, stop)
        for at in range(stretch.start, stretch.stop)
    ]
    assert found == whole[start:stop]
    for number, size in zip(numbers, sizes, strict=True):
        begin, end = layout.part(number) or (0, -1)
        assert end - begin == size
        assert whole[begin:end] == [(number, at) for at in range(size)]
    assert layout.part(sum(gaps) + 1) is None
