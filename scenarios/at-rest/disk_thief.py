"""Somebody carries the store's disk away."""

from tlslab import Lab, scenario


@scenario(group="at-rest", outcome="breached", twin="disk_thief_gets_ciphertext", headline=True)
async def disk_thief_reads_a_plain_disk(lab: Lab) -> None:
    """TLS protects the way to the store. On a plain disk the record lies there to be read."""
    store = await lab.store(encrypted=False)
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", twin="disk_thief_reads_a_plain_disk", headline=True)
async def disk_thief_gets_ciphertext(lab: Lab) -> None:
    """With server-side encryption (SSE-S3) the disk alone is worth nothing."""
    store = await lab.store(encrypted=True)
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="disk_thief_gets_ciphertext", headline=True)
async def disk_and_key_thief_reads_all(lab: Lab) -> None:
    """Who takes the key file along with the disk opens every object: keys belong elsewhere."""
    store = await lab.store(encrypted=True)
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)

    lab.expect(thief).saw(record)
