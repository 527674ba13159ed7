"""Keys of a KMS (SSE-KMS): they lie elsewhere, and each use of them is decided anew."""

from tlslab import Lab, scenario

ACCOUNT = "arn:aws:iam::111122223333"

OPEN_TO_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}],
}

BOB_MAY_DECRYPT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"{ACCOUNT}:user/bob"},
            "Action": "kms:Decrypt",
            "Resource": "*",
        },
    ],
}


@scenario(group="at-rest", twin="thief_of_the_kms_too_reads_all")
async def keys_of_a_kms_lie_elsewhere(lab: Lab) -> None:
    """With SSE-KMS, disk and key file of the store open nothing: the KMS is another house."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records", encryption=await store.kms_key("records"))
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="keys_of_a_kms_lie_elsewhere")
async def thief_of_the_kms_too_reads_all(lab: Lab) -> None:
    """Who was in both houses has everything. A hardware module would not let the keys go."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records", encryption=await store.kms_key("records"))
    await client.put(shop.url("/records/customer.txt"), record)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", twin="insider_reads_what_the_store_decrypts")
async def insider_without_the_key_is_refused(lab: Lab) -> None:
    """Who may read the bucket but not use its key gets nothing: two locks, two permissions."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records", encryption=await store.kms_key("records"))
    await client.put(shop.url("/records/customer.txt"), record)
    answer = await insider.get(shop.url("/records/customer.txt"))
    assert (answer.status, b"kms:Decrypt" in answer.body) == (403, True)

    lab.expect(insider).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="insider_without_the_key_is_refused")
async def insider_reads_what_the_store_decrypts(lab: Lab) -> None:
    """With SSE-S3 the store decrypts for everybody who may read: one lock."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    await insider.get(shop.url("/records/customer.txt"))

    lab.expect(insider).saw(record)


@scenario(group="at-rest", outcome="breached", twin="insider_without_the_key_is_refused")
async def key_policy_lets_everybody(lab: Lab) -> None:
    """The second lock stands open: the key's policy allows every principal everything."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records", policy=OPEN_TO_ALL)
    await store.make_bucket("records", encryption=key)
    await client.put(shop.url("/records/customer.txt"), record)
    await insider.get(shop.url("/records/customer.txt"))

    lab.expect(insider).saw(record)


@scenario(group="at-rest", twin="enabled_key_serves_who_may_use_it")
async def disabled_key_opens_nothing_at_once(lab: Lab) -> None:
    """Disabling the key stops everybody with the next request, also where a bucket key is cached.

    Bob may use it, and his access key has leaked. The store holds a bucket key in memory, from
    which it could go on decrypting without the KMS; it asks the KMS first, each time.
    """
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    bob = lab.insider(store, "whoever has bob's access key")
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records", policy=BOB_MAY_DECRYPT)
    await store.make_bucket("records", encryption=key, bucket_key=True)
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))
    await key.disable()
    answer = await bob.get(shop.url("/records/customer.txt"))
    assert b"<Code>KMS.DisabledException</Code>" in answer.body

    lab.expect(client).received(record)
    lab.expect(bob).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="disabled_key_opens_nothing_at_once")
async def enabled_key_serves_who_may_use_it(lab: Lab) -> None:
    """What was read before the key was disabled stays read."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    bob = lab.insider(store, "whoever has bob's access key")
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records", policy=BOB_MAY_DECRYPT)
    await store.make_bucket("records", encryption=key, bucket_key=True)
    await client.put(shop.url("/records/customer.txt"), record)
    await bob.get(shop.url("/records/customer.txt"))
    await key.disable()

    lab.expect(bob).saw(record)
