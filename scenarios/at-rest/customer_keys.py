"""Keys that customers bring along with each request (SSE-C), and that no store keeps."""

from tlslab import CustomerKey, Lab, scenario, scenarios
from tlslab.lab.pretence import Claim


@scenario(group="at-rest", twin="customer_key_is_kept_in_a_note")
async def customer_key_leaves_nothing_to_steal(lab: Lab) -> None:
    """Disks, key file, KMS: who takes everything there is on the store's side opens nothing."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True, kms_disk=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")
    key = CustomerKey.generate()

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record, headers=key.headers)
    await client.get(shop.url("/records/customer.txt"), headers=key.headers)

    lab.expect(client).received(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", outcome="breached", twin="customer_key_leaves_nothing_to_steal")
async def customer_key_is_kept_in_a_note(lab: Lab) -> None:
    """The key lies beside what it opens, in a bucket of notes: the thief finds it there."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    thief = lab.disk_thief(store, key_file=True)
    client = lab.client(user=store.user("alice"))
    record = lab.canary("customer record")
    key = CustomerKey.generate()

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record, headers=key.headers)
    await store.make_bucket("notes")
    note = f"The key of customer.txt is {key.secret.hex()}, do not lose it!".encode()
    await client.put(shop.url("/notes/keys.txt"), note)

    lab.expect(thief).saw(record)


@scenario(group="at-rest", outcome="breached", twin="customer_key_travels_within_tls")
async def refusal_comes_too_late_for_what_was_sent(lab: Lab) -> None:
    """Over plain HTTP the store refuses the key and keeps nothing; the sniffer has it all.

    Only the client can prevent that, by not sending it.
    """
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store, tls=False)
    client = lab.client(user=store.user("alice"))
    sniffer = lab.sniffer(between=(client, shop))
    thief = lab.disk_thief(store, key_file=True)
    record = lab.canary("customer record")
    key = CustomerKey.generate()

    await store.make_bucket("records")
    answer = await client.put(shop.url("/records/customer.txt"), record, headers=key.headers)
    assert answer.status == 400

    lab.expect(sniffer).saw(record)
    lab.expect(thief).saw_no(record)


@scenario(group="at-rest", twin="refusal_comes_too_late_for_what_was_sent")
async def customer_key_travels_within_tls(lab: Lab) -> None:
    """Over TLS it is taken, because the proxy proves to the store that it was TLS."""
    store = await lab.store()
    shop = await lab.terminating_proxy("shop.test", store)
    client = lab.client(user=store.user("alice"))
    sniffer = lab.sniffer(between=(client, shop))
    thief = lab.disk_thief(store, key_file=True)
    record = lab.canary("customer record")
    key = CustomerKey.generate()

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record, headers=key.headers)
    await client.get(shop.url("/records/customer.txt"), headers=key.headers)

    lab.expect(client).received(record)
    lab.expect(sniffer).saw_no(record)
    lab.expect(thief).saw_no(record)


CLAIMS: dict[str, dict[str, Claim]] = {
    "field": {"claim": "X-Forwarded-Proto"},
    "proxy-header": {"claim": "PROXY header"},
}


@scenarios(CLAIMS, group="at-rest", twin="claim_of_tls_is_believed[{case}]")
async def claim_of_tls_is_not_believed(lab: Lab, claim: Claim) -> None:
    """A client without TLS claims to have it ({claim}): refused, before it sends the record.

    Its key was in the request, and is burnt. The record itself waits for the store's consent.
    """
    store = await lab.store()
    client = lab.claiming_client(claim, store.user("alice"))
    sniffer = lab.sniffer(between=(client, store))
    record = lab.canary("customer record")
    key = CustomerKey.generate()

    await store.make_bucket("records")
    url = store.url("/records/customer.txt")
    assert not await client.offer(url, record, headers=key.headers)

    lab.expect(sniffer).saw_no(record)


@scenarios(CLAIMS, group="at-rest", outcome="breached", twin="claim_of_tls_is_not_believed[{case}]")
async def claim_of_tls_is_believed(lab: Lab, claim: Claim) -> None:
    """The store believes what any client can say ({claim}), and has everything sent in clear."""
    store = await lab.store(believes=claim)
    client = lab.claiming_client(claim, store.user("alice"))
    sniffer = lab.sniffer(between=(client, store))
    record = lab.canary("customer record")
    key = CustomerKey.generate()

    await store.make_bucket("records")
    url = store.url("/records/customer.txt")
    assert await client.offer(url, record, headers=key.headers)

    lab.expect(sniffer).saw(record)
