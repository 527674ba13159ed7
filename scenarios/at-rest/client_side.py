"""Encryption before upload: the key never leaves the client."""

from tlslab import ApplicationKey, Lab, decrypt, encrypt, scenario

OBJECT = {"object": "/records/customer.txt"}


@scenario(group="at-rest", twin="server_side_encryption_trusts_the_operator", headline=True)
async def client_side_encryption_trusts_nobody(lab: Lab) -> None:
    """Neither a trusted man in the middle nor the store's operator reads what arrives encrypted."""
    store = await lab.store(encrypted=True)
    shop = await lab.terminating_proxy("shop.test", store)
    client = lab.client(user=store.user("alice"))
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    operator = lab.disk_thief(store, key_file=True, name="operator")
    insider = lab.insider(store)
    record = lab.canary("customer record")
    key = ApplicationKey.generate()

    await store.make_bucket("records")
    metadata, sealed = await encrypt(record.token, key, context=OBJECT)
    await client.put(shop.url("/records/customer.txt"), sealed, metadata=metadata)
    answer = await client.get(shop.url("/records/customer.txt"))
    assert await decrypt(answer.metadata, answer.body, key, context=OBJECT) == record.token

    lab.expect(mallory).saw_no(record)
    lab.expect(operator).saw_no(record)
    lab.expect(insider).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="client_side_encryption_trusts_nobody")
async def server_side_encryption_trusts_the_operator(lab: Lab) -> None:
    """The same without client-side encryption: middle, operator and insider all read."""
    store = await lab.store(encrypted=True)
    shop = await lab.terminating_proxy("shop.test", store)
    client = lab.client(user=store.user("alice"))
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    operator = lab.disk_thief(store, key_file=True, name="operator")
    insider = lab.insider(store)
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(mallory).saw(record)
    lab.expect(operator).saw(record)
    lab.expect(insider).saw(record)
