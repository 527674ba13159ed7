"""What a data key is for is said when it is made, and must be said again to have it unwrapped."""

from tlslab import Lab, decrypt, encrypt, scenario

ROOT = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
    "Action": "kms:*",
    "Resource": "*",
}
BOB = {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:user/bob"},
    "Action": "kms:Decrypt",
    "Resource": "*",
}
OF_SALES = {"Condition": {"StringEquals": {"kms:EncryptionContext:department": "sales"}}}


@scenario(group="at-rest", twin="data_key_without_context_opens_for_all")
async def data_key_opens_in_its_context_only(lab: Lab) -> None:
    """Bob may have the key unwrap for sales. The record is of another department.

    He reads the bucket, and so has the ciphertext and the wrapped data key beside it. If he says
    what it is for, the key's policy refuses him; if he claims that it is for sales, it does not
    open, because the context is authenticated with the data key.
    """
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    bob = lab.insider(store, "bob of sales")
    client = lab.client(user=store.user("alice"))
    record = lab.canary("employee's record")

    key = await store.kms_key(
        "people", policy={"Version": "2012-10-17", "Statement": [ROOT, {**BOB, **OF_SALES}]}
    )
    await store.make_bucket("people")
    keyring = lab.kms_client(client, shop, key).keyring
    context = {"department": "personnel"}
    metadata, sealed = await encrypt(record.token, keyring, context=context)
    await client.put(shop.url("/people/1"), sealed, metadata=metadata)
    answer = await client.get(shop.url("/people/1"))
    assert await decrypt(answer.metadata, answer.body, keyring, context=context) == record.token

    await bob.open(shop.url("/people/1"), by=key, at=shop, claiming=context)
    await bob.open(shop.url("/people/1"), by=key, at=shop, claiming={"department": "sales"})

    lab.expect(bob).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="data_key_opens_in_its_context_only")
async def data_key_without_context_opens_for_all(lab: Lab) -> None:
    """Without a context there is nothing to tell departments apart by, for policy and key alike."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    bob = lab.insider(store, "bob of sales")
    client = lab.client(user=store.user("alice"))
    record = lab.canary("employee's record")

    key = await store.kms_key("people", policy={"Version": "2012-10-17", "Statement": [ROOT, BOB]})
    await store.make_bucket("people")
    metadata, sealed = await encrypt(record.token, lab.kms_client(client, shop, key).keyring)
    await client.put(shop.url("/people/1"), sealed, metadata=metadata)

    await bob.open(shop.url("/people/1"), by=key, at=shop, claiming={})

    lab.expect(bob).saw(record)
