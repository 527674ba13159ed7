"""What thieves find: keys in whatever form, and copies from the time they were made at."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.lab import CustomerKey, open_lab
from tlslab.lab.loot import keys_within
from tlslab.lab.thieves import DiskThief

KEYS = st.binary(min_size=32, max_size=32)


@given(KEYS)
def test_a_key_is_found_as_it_is_and_in_the_usual_texts(key: bytes) -> None:
    encoded = base64.b64encode(key)
    assert key in keys_within(key)
    assert key in keys_within(b"the key: " + encoded + b"\n")
    assert key in keys_within(b'{"key": "' + key.hex().encode() + b'"}')


@given(st.binary(max_size=500))
def test_whatever_is_found_has_the_length_of_a_key(data: bytes) -> None:
    assert all(len(key) == 32 for key in keys_within(data))


@given(KEYS)
def test_a_part_of_something_longer_is_no_key(key: bytes) -> None:
    assert list(keys_within(b"A" + base64.b64encode(key))) == []
    assert list(keys_within(b"a" + key.hex().encode())) == []
    assert list(keys_within(key + b"-")) == []


@pytest.mark.parametrize(("found", "opened"), [(True, 1), (False, 0)])
async def test_a_customers_key_opens_what_it_is_for(
    found: bool, opened: int, tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "one") as lab:
        store = await lab.store()
        shop = await lab.terminating_proxy("shop.test", store)
        client = lab.client(user=store.user("alice"))
        thief = lab.disk_thief(store, key_file=True)
        key = CustomerKey.generate()
        await store.make_bucket("records")
        await client.put(shop.url("/records/1"), b"the record", headers=key.headers)
        (store.disk / "note").write_bytes((key if found else CustomerKey.generate()).secret)
    await lab.collect()
    assert len(files(thief, "opened-")) == opened


async def test_a_copy_is_of_when_it_was_made(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "two") as lab:
        store = await lab.store()
        shop = await lab.terminating_proxy("shop.test", store)
        client = lab.client(user=store.user("alice"))
        early = lab.disk_thief(store, key_file=True, name="early")
        late = lab.disk_thief(store, key_file=True, name="late")
        await store.make_bucket("records")
        await client.put(shop.url("/records/1"), b"one")
        early.copy_disk()
        await client.put(shop.url("/records/2"), b"two")
    await lab.collect()
    assert (len(files(early, "opened-")), len(files(late, "opened-"))) == (1, 2)


async def test_the_loot_is_evidence_as_it_was_stolen(tmp_path: Path) -> None:
    """Opening it changes databases and makes others; that is done with a copy."""
    async with open_lab(tmp_path, "three") as lab:
        store = await lab.store()
        thief = lab.disk_thief(store, key_file=True)
        await store.make_bucket("records")
    stolen = {path.name: path.read_bytes() for path in store.disk.rglob("*") if path.is_file()}
    await lab.collect()
    held = {Path(holding.file or ""): holding for holding in thief.taken.holdings}
    assert {path.name for path in held} == stolen.keys()
    assert all((tmp_path / path).read_bytes() == stolen[path.name] for path in held)
    assert not list(tmp_path.rglob("*-opened"))


def files(thief: DiskThief, beginning: str) -> list[str]:
    return [one.title for one in thief.taken.holdings if one.title.startswith(beginning)]
