"""Where an application keeps the key with which it encrypts before upload."""

from tlslab import ApplicationKey, Lab, encrypt, scenario


@scenario(group="at-rest", outcome="breached", twin="client_side_encryption_trusts_nobody")
async def application_key_lies_beside_what_it_opens(lab: Lab) -> None:
    """The application's backup of its key went to the same store: the operator has both."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    operator = lab.disk_thief(store, key_file=True, name="operator")
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")
    key = ApplicationKey.generate()

    await store.make_bucket("records")
    metadata, sealed = await encrypt(record.token, key)
    await client.put(shop.url("/records/customer.txt"), sealed, metadata=metadata)
    await client.put(shop.url("/records/backup/application.key"), key.secret)

    lab.expect(operator).saw(record)
