"""Disks as they are rented: encrypted volumes, and snapshots that travel to other regions."""

from tlslab import Lab, scenario

BOB_MAY_USE_IT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [
                "arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/bob"
            ]},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}  # fmt: skip


@scenario(group="at-rest", outcome="breached", twin="volume_thief_gets_ciphertext")
async def volume_thief_reads_plain_blocks(lab: Lab) -> None:
    """A disk that went to be repaired, or is rented to the next customer, says all."""
    store = await lab.store()
    app = await lab.volume_server("app.test", store)
    thief = lab.server_disk_thief(app)
    client = lab.client()
    record = lab.canary("customer record")

    await client.post(app.url("/records"), record)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", twin="volume_thief_reads_plain_blocks")
async def volume_thief_gets_ciphertext(lab: Lab) -> None:
    """Every block is encrypted before it is written, under a data key that the KMS wrapped."""
    store = await lab.store()
    key = await store.kms_key("volumes")
    app = await lab.volume_server("app.test", store, key=key)
    thief = lab.server_disk_thief(app)
    client = lab.client()
    record = lab.canary("customer record")

    await client.post(app.url("/records"), record)

    lab.expect(app).received(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", twin="snapshot_is_carried_to_another_region")
async def snapshot_is_encrypted_anew_for_another_region(lab: Lab) -> None:
    """Copied to another region, the snapshot is under that region's key, with its own policy.

    Bob may use the key at home, not the one for backups abroad. He has the copy's file.
    """
    store = await lab.store()
    home = await store.kms_key("home", region="eu-west-2", policy=BOB_MAY_USE_IT)
    abroad = await store.kms_key("backups", region="eu-west-1")
    app = await lab.volume_server("app.test", store, key=home)
    client = lab.client()
    record = lab.canary("customer record")

    await client.post(app.url("/records"), record)
    snapshots = lab.snapshots(store)
    snapshot = await snapshots.take(app)
    copy = await snapshots.copy(snapshot, abroad)
    bob = lab.snapshot_reader(store, copy)

    lab.expect(app).received(record)
    lab.expect(bob).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="snapshot_is_encrypted_anew_for_another_region")
async def snapshot_is_carried_to_another_region(lab: Lab) -> None:
    """Carried there as a file it is still under the key at home, which bob may use."""
    store = await lab.store()
    home = await store.kms_key("home", region="eu-west-2", policy=BOB_MAY_USE_IT)
    app = await lab.volume_server("app.test", store, key=home)
    client = lab.client()
    record = lab.canary("customer record")

    await client.post(app.url("/records"), record)
    snapshot = await lab.snapshots(store).take(app)
    bob = lab.snapshot_reader(store, snapshot)

    lab.expect(bob).saw(record)
