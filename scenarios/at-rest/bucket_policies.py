"""What a bucket's policy refuses to take, so that nobody's mistake ends in it."""

from tlslab import Lab, scenario

ENCRYPTED_WITH = "s3:x-amz-server-side-encryption-aws-kms-key-id"


def only_with(key: str) -> dict[str, object]:
    """A policy that takes objects which are encrypted with one key (SSE-KMS), and no others."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": "arn:aws:s3:::records/*",
                "Condition": {"StringNotEquals": {ENCRYPTED_WITH: key}},
            }
        ],
    }


ONLY_OVER_TLS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::records", "arn:aws:s3:::records/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}

OPEN_TO_ALL = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}],
}


@scenario(group="at-rest", twin="forgotten_encryption_is_taken")
async def policy_refuses_what_is_not_encrypted(lab: Lab) -> None:
    """An upload that names no key is refused by the bucket's policy; one that names it is taken."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records")
    await store.make_bucket("records")
    await store.set_policy("records", only_with(key.arn))
    refused = await client.put(shop.url("/records/forgotten.txt"), record)
    taken = await client.put(shop.url("/records/customer.txt"), record, headers=key.headers)
    assert (refused.status, taken.status) == (403, 200)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(insider).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="policy_refuses_what_is_not_encrypted")
async def forgotten_encryption_is_taken(lab: Lab) -> None:
    """Without the policy the upload lands under the store's own key: the insider reads it."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)

    lab.expect(insider).saw(record)


@scenario(group="at-rest", twin="another_key_is_taken")
async def policy_refuses_another_key(lab: Lab) -> None:
    """Encrypted, but with a key that everybody may use: the policy takes the one key only."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    key = await store.kms_key("records")
    test_key = await store.kms_key("tests", policy=OPEN_TO_ALL)
    await store.make_bucket("records")
    await store.set_policy("records", only_with(key.arn))
    answer = await client.put(shop.url("/records/customer.txt"), record, headers=test_key.headers)
    assert answer.status == 403

    lab.expect(insider).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="policy_refuses_another_key")
async def another_key_is_taken(lab: Lab) -> None:
    """Without the policy any key will do, and this one is everybody's."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.insider(store)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")

    test_key = await store.kms_key("tests", policy=OPEN_TO_ALL)
    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record, headers=test_key.headers)

    lab.expect(insider).saw(record)


@scenario(group="at-rest", twin="bucket_without_policy_answers_in_clear")
async def policy_refuses_what_comes_in_clear(lab: Lab) -> None:
    """The record was stored over TLS; asked for over plain HTTP, it is not given out."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    old_door = await lab.terminating_proxy("old.test", store, tls=False)
    client = lab.client(user=store.user("alice"))
    sniffer = lab.sniffer(between=(client, old_door))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await store.set_policy("records", ONLY_OVER_TLS)
    await client.put(shop.url("/records/customer.txt"), record)
    answer = await client.get(old_door.url("/records/customer.txt"))
    assert answer.status == 403

    lab.expect(sniffer).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="policy_refuses_what_comes_in_clear")
async def bucket_without_policy_answers_in_clear(lab: Lab) -> None:
    """One old door without TLS is enough: the store gives out what it decrypted, in clear."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    old_door = await lab.terminating_proxy("old.test", store, tls=False)
    client = lab.client(user=store.user("alice"))
    sniffer = lab.sniffer(between=(client, old_door))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(old_door.url("/records/customer.txt"))

    lab.expect(sniffer).saw(record)
