"""The parties and adversaries at a store: what refuses them is what the lesson says it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tlslab.kms import KMSError
from tlslab.lab import CustomerKey, open_lab
from tlslab.lab.evidence import Harm
from tlslab.lab.pretence import Claim

EVERYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}],
}


async def test_the_kms_hands_out_data_keys_over_the_network(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "kms") as lab:
        store = await lab.store()
        shop = await lab.terminating_proxy("shop.test", store)
        key = await store.kms_key("records")
        alice = lab.kms_client(lab.client(user=store.user("alice")), shop, key)
        bob = lab.kms_client(lab.client("bob", user=store.user("bob")), shop, key)
        plain, wrapped = await alice.generate({"for": "this"})
        assert await alice.decrypt(wrapped, {"for": "this"}) == plain
        with pytest.raises(KMSError) as caught:
            await alice.decrypt(wrapped, {"for": "that"})
        assert caught.value.code == "InvalidCiphertextException"
        with pytest.raises(KMSError) as caught:
            await bob.decrypt(wrapped, {"for": "this"})
        assert caught.value.code == "AccessDeniedException"


async def test_a_bucket_key_asks_the_kms_once_and_is_decided_on_each_time(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "cached") as lab:
        store = await lab.store()
        shop = await lab.terminating_proxy("shop.test", store)
        client = lab.client(user=store.user("alice"))
        key = await store.kms_key("records")
        await store.make_bucket("records", encryption=key, bucket_key=True)
        for name in "123":
            await client.put(shop.url(f"/records/{name}"), b"a record")
            assert (await client.get(shop.url(f"/records/{name}"))).status == 200
        await key.disable()
        answer = await client.get(shop.url("/records/1"))
        assert (answer.status, b"KMS.DisabledException" in answer.body) == (400, True)
        await key.enable()
        assert (await client.get(shop.url("/records/1"))).status == 200
        records = [one.record for one in await store.backend.trail.read_after(0)]
    made = [record for record in records if b'"GenerateDataKey"' in record]
    assert len([record for record in made if b"DryRunOperationException" not in record]) == 1


async def test_a_deleted_key_is_deleted_by_the_stores_clock(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "deleted") as lab:
        store = await lab.store()
        key = await store.kms_key("records")
        await key.schedule_deletion(days=7)
        await store.days_later(6)
        assert (await key.invoke("DescribeKey", KeyId=key.arn))["KeyMetadata"]["KeyState"] == (
            "PendingDeletion"
        )
        await store.days_later(2)
        with pytest.raises(KMSError) as caught:
            await key.invoke("DescribeKey", KeyId=key.arn)
        assert caught.value.code == "NotFoundException"
        assert store.clock.ahead == timedelta(days=8)


@pytest.mark.parametrize("claim", ["X-Forwarded-Proto", "PROXY header"])
@pytest.mark.parametrize("believed", [True, False])
async def test_only_a_store_that_believes_a_claim_takes_the_object(
    claim: Claim, believed: bool, tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "claim") as lab:
        store = await lab.store(believes=claim if believed else None)
        client = lab.claiming_client(claim, store.user("alice"))
        await store.make_bucket("records")
        url = store.url("/records/1")
        taken = await client.offer(url, b"x", headers=CustomerKey.generate().headers)
        assert (taken, await store.paths()) == (believed, ["/records/1"] if believed else [])


async def test_a_store_believes_no_other_claim_than_that_one(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "other") as lab:
        store = await lab.store(believes="PROXY header")
        client = lab.claiming_client("X-Forwarded-Proto", store.user("alice"))
        await store.make_bucket("records")
        headers = CustomerKey.generate().headers
        assert not await client.offer(store.url("/records/1"), b"x", headers=headers)


@pytest.mark.parametrize("encrypted", [True, False])
async def test_erased_traces_are_missed_where_there_is_a_trail(
    encrypted: bool, tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "traces") as lab:
        store = await lab.store()
        shop = await lab.terminating_proxy("shop.test", store)
        eraser = lab.trace_eraser(store)
        client = lab.client(user=store.user("alice"))
        key = await store.kms_key("records", policy=EVERYBODY)
        await store.make_bucket("records", encryption=key if encrypted else None)
        await client.put(shop.url("/records/1"), b"a record")
        assert (await eraser.get(shop.url("/records/1"))).body == b"a record"
        assert any("GET /records/1" in line for line in store.access_log)
    await lab.collect()
    assert not any("GET /records/1" in line for line in [*store.access_log, *shop.access_log])
    with closing(sqlite3.connect(store.state.kms_database)) as database:
        query = "SELECT count(*) FROM audit_records WHERE username = 'bob'"
        assert database.execute(query).fetchone() == (0,)
    async with store.reopened() as reopened:
        assert (await reopened.backend.trail.verify()).intact is not encrypted
    found = [one.what for one in eraser.taken.achievements]
    assert found == ([] if encrypted else [Harm.HIDDEN])


async def test_who_read_nothing_has_nothing_to_hide(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "nothing") as lab:
        store = await lab.store()
        shop = await lab.terminating_proxy("shop.test", store)
        eraser = lab.trace_eraser(store)
        await store.make_bucket("records")
        assert (await eraser.get(shop.url("/records/1"))).status == 404
    await lab.collect()
    assert eraser.taken.achievements == []


@pytest.mark.parametrize(("user", "reads"), [("alice", True), ("bob", False)])
async def test_a_snapshot_in_another_region_opens_with_that_regions_key(
    user: str, reads: bool, tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "snapshot") as lab:
        store = await lab.store()
        home = await store.kms_key("home", policy=EVERYBODY)
        abroad = await store.kms_key("abroad", region="eu-west-1")
        app = await lab.volume_server("app.test", store, key=home)
        await lab.client().post(app.url("/1"), b"the first record")
        await lab.client().post(app.url("/2"), b"the second record")
        snapshots = lab.snapshots(store)
        copy = await snapshots.copy(await snapshots.take(app), abroad)
        reader = lab.snapshot_reader(store, copy, user=user)
    await lab.collect()
    folder = lab.folder / "insider"
    assert (folder / "content").exists() is reads
    assert (folder / "refusal").exists() is not reads
    if reads:
        content = (folder / "content").read_bytes()
        assert b"the first record" in content
        assert b"the second record" in content
    assert reader.taken.sightings == []
