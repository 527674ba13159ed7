"""TLS ends at the proxy. What about the cable behind it?"""

from tlslab import Lab, scenario


@scenario(group="termination", outcome="breached", twin="tls_to_the_backend_hides_it",
          headline=True)  # fmt: skip
async def tls_added_and_removed_here(lab: Lab) -> None:
    """The proxy decrypts and forwards: before it there is ciphertext, behind it plain text."""
    store = await lab.store(encrypted=True)
    shop = await lab.terminating_proxy("shop.test", store)
    client = lab.client(user=store.user("alice"))
    before = lab.sniffer("sniffer before", between=(client, shop))
    behind = lab.sniffer("sniffer behind", between=(shop, store))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(before).saw_no(record)
    lab.expect(behind).saw(record)


@scenario(group="termination", twin="tls_added_and_removed_here", headline=True)
async def tls_to_the_backend_hides_it(lab: Lab) -> None:
    """With TLS from the proxy to the store as well, neither cable shows anything."""
    store = await lab.store(encrypted=True, tls=True)
    shop = await lab.terminating_proxy("shop.test", store)
    client = lab.client(user=store.user("alice"))
    before = lab.sniffer("sniffer before", between=(client, shop))
    behind = lab.sniffer("sniffer behind", between=(shop, store))
    record = lab.canary("customer record")

    await store.make_bucket("records")
    await client.put(shop.url("/records/customer.txt"), record)
    await client.get(shop.url("/records/customer.txt"))

    lab.expect(client).received(record)
    lab.expect(before).saw_no(record)
    lab.expect(behind).saw_no(record)
    lab.expect(behind).learned(server_name="store.test")
