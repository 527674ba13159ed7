"""A key's life: it is rotated, and one day deleted. What then becomes of copies."""

from tlslab import Lab, scenario


@scenario(group="at-rest", twin="deleted_object_lives_on_in_the_backup")
async def deleted_key_takes_the_backup_along(lab: Lab) -> None:
    """Crypto-shredding: with the key, every copy of the object is gone, wherever it lies.

    The thief has a backup of the store's disk from before, and today takes the key file and the
    KMS's disk as well. The key was deleted after the seven days that the KMS waits at least.
    """
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records")
    await store.make_bucket("records", encryption=key)
    await client.put(shop.url("/records/customer.txt"), record)
    thief.copy_disk()
    await key.schedule_deletion(days=7)
    await store.days_later(8)

    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="deleted_key_takes_the_backup_along")
async def deleted_object_lives_on_in_the_backup(lab: Lab) -> None:
    """Deleting the object is no more than that: the backup has it, and the store's key is there."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    thief.copy_disk()
    await client.request("DELETE", shop.url("/records/customer.txt"))

    lab.expect(thief).saw(record)


@scenario(group="at-rest", outcome="breached", twin="deleted_key_takes_the_backup_along")
async def backup_of_the_kms_outlives_the_deleted_key(lab: Lab) -> None:
    """A backup of the KMS from before the deletion has the key: it must be as hard to get at."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records")
    await store.make_bucket("records", encryption=key)
    await client.put(shop.url("/records/customer.txt"), record)
    thief.copy_disk()
    thief.copy_kms_disk()
    await key.schedule_deletion(days=7)
    await store.days_later(8)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", twin="old_copy_of_the_key_opens_new_objects")
async def rotation_keeps_new_objects_from_an_old_copy(lab: Lab) -> None:
    """Who copied the KMS's keys before a rotation cannot open what is written after it."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("new customer's record")

    key = await store.kms_key("records")
    await store.make_bucket("records", encryption=key)
    thief.copy_kms_disk()
    await key.rotate()
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="rotation_keeps_new_objects_from_an_old_copy")
async def old_copy_of_the_key_opens_new_objects(lab: Lab) -> None:
    """A key that is never rotated, and was stolen once, opens everything from then on."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("new customer's record")

    key = await store.kms_key("records")
    await store.make_bucket("records", encryption=key)
    thief.copy_kms_disk()
    await client.put(shop.url("/records/customer.txt"), record)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", outcome="breached", twin="rewrapped_object_is_shut_to_the_old_copy")
async def rotation_leaves_old_objects_as_they_were(lab: Lab) -> None:
    """Rotation encrypts nothing anew: old objects stay readable, also with a stolen old key."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records")
    await store.make_bucket("records", encryption=key)
    await client.put(shop.url("/records/customer.txt"), record)
    thief.copy_kms_disk()
    await key.rotate()
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(thief).saw(record)


@scenario(group="at-rest", twin="rotation_leaves_old_objects_as_they_were")
async def rewrapped_object_is_shut_to_the_old_copy(lab: Lab) -> None:
    """After a rotation, have the data keys wrapped anew: no data moves, and the old key is waste.

    That helps against who steals the disk later. A copy of the disk from before has the old
    wrapping, and would still open.
    """
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records")
    await store.make_bucket("records", encryption=key)
    await client.put(shop.url("/records/customer.txt"), record)
    thief.copy_kms_disk()
    await key.rotate()
    await store.rewrap("/records/customer.txt", key)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="rotation_keeps_new_objects_from_an_old_copy")
async def rotated_root_key_lies_on_the_same_disk(lab: Lab) -> None:
    """With SSE-S3 the store rotates its own key. Whoever has the key file has the new one too."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("new customer's record")

    await store.make_bucket("records")
    await store.rotate_root_key()
    await client.put(shop.url("/records/customer.txt"), record)

    lab.expect(thief).saw(record)
