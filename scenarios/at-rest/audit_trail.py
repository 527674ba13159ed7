"""Who has read what? And can the answer be removed?"""

from tlslab import Lab, scenario

BOB_MAY_DECRYPT = {
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


@scenario(group="at-rest", twin="access_log_is_cleaned_unseen")
async def trail_cannot_be_cleaned_unseen(lab: Lab) -> None:
    """Each decryption is in the KMS's trail: who, when, which object. What is cut out is missed.

    The insider may read the record, and does. Afterwards he writes to the very files of logs and
    trail; but the trail's records are chained by keyed hashes, and he does not have the key.
    """
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.trace_eraser(store)
    client = lab.client(user=store.user("alice"))

    key = await store.kms_key("records", policy=BOB_MAY_DECRYPT)
    await store.make_bucket("records", encryption=key)
    await client.put(shop.url("/records/customer.txt"), b"the record of a customer")
    await insider.get(shop.url("/records/customer.txt"))
    assert await store.who_decrypted("/records/customer.txt") == ["bob"]

    lab.expect(insider).achieved_nothing()


@scenario(group="at-rest", outcome="breached", twin="trail_cannot_be_cleaned_unseen")
async def access_log_is_cleaned_unseen(lab: Lab) -> None:
    """With SSE-S3 no KMS is asked. A line taken out of an access log is missed by nobody."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    insider = lab.trace_eraser(store)
    client = lab.client(user=store.user("alice"))

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), b"the record of a customer")
    await insider.get(shop.url("/records/customer.txt"))
    assert await store.who_decrypted("/records/customer.txt") == []

    lab.expect(insider).achieved("hidden")
