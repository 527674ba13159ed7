"""What is in the trust store, how it came there, and what it takes to get it out again."""

from tlslab import Lab, scenario
from tlslab.pki import Authority


@scenario(group="trust", outcome="breached", twin="compromised_root_is_removed")
async def compromised_root_stays(lab: Lab) -> None:
    """A CA's key was stolen, and its root is still in the store: the thief vouches for the shop."""
    shop = await lab.server("shop.test")
    client = lab.client()
    thief = await lab.interceptor("thief", victim=client, authority=lab.ca)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="trust", twin="compromised_root_stays")
async def compromised_root_is_removed(lab: Lab) -> None:
    """No one stands above a root who could revoke it: whoever trusts it has to remove it.

    With it go all certificates that it has issued, the genuine ones too.
    """
    shop = await lab.server("shop.test")
    client = lab.client()
    client.distrust(lab.ca.root)
    thief = await lab.interceptor("thief", victim=client, authority=lab.ca)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="trust", outcome="breached", twin="development_root_is_removed")
async def development_root_is_left_installed(lab: Lab) -> None:
    """A tool for developers installed a root, and its key lies in the tool's package for everybody.

    It was meant for localhost, but a root vouches for every name there is.
    """
    shop = await lab.server("shop.test")
    client = lab.client()
    published = Authority.create("development tool")
    client.trust(published.root)
    mallory = await lab.interceptor(victim=client, authority=published)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", twin="development_root_is_left_installed")
async def development_root_is_removed(lab: Lab) -> None:
    """Taken out of the store again, the tool's root vouches for nobody."""
    shop = await lab.server("shop.test")
    client = lab.client()
    published = Authority.create("development tool")
    client.trust(published.root)
    client.distrust(published.root)
    mallory = await lab.interceptor(victim=client, authority=published)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenario(group="trust", outcome="breached", twin="intermediate_alone_is_not_believed")
async def intermediate_is_left_in_the_store(lab: Lab) -> None:
    """The root was removed, its intermediate was forgotten, and the client believes partial chains.

    Then any certificate in the store is an end to ask no further, and the thief has that one's key.
    """
    shop = await lab.server("shop.test")
    client = lab.client(partial_chain=True)
    client.trust(lab.ca.intermediate)
    client.distrust(lab.ca.root)
    thief = await lab.interceptor("thief", victim=client, authority=lab.ca)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="trust", twin="intermediate_is_left_in_the_store")
async def intermediate_alone_is_not_believed(lab: Lab) -> None:
    """By OpenSSL's default a chain has to end at a root, and the forgotten intermediate is none."""
    shop = await lab.server("shop.test")
    client = lab.client()
    client.trust(lab.ca.intermediate)
    client.distrust(lab.ca.root)
    thief = await lab.interceptor("thief", victim=client, authority=lab.ca)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=2, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="trust", twin="verification_switched_off_to_make_it_work")
async def empty_store_believes_nobody(lab: Lab) -> None:
    """A container without roots: the client refuses everybody, Mallory and the shop alike."""
    shop = await lab.server("shop.test")
    client = lab.client()
    client.distrust(lab.ca.root)
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenario(group="trust", outcome="breached", twin="empty_store_believes_nobody")
async def verification_switched_off_to_make_it_work(lab: Lab) -> None:
    """ "It works with verification off": with the shop, and with Mallory just as well."""
    shop = await lab.server("shop.test")
    client = lab.client(verify_chain=False)
    client.distrust(lab.ca.root)
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", outcome="breached", twin="program_brings_its_own_store")
async def environment_points_to_another_store(lab: Lab) -> None:
    """A program that goes by the system's store believes whoever can set SSL_CERT_FILE.

    One line in a shell's start file, a build script or a container image is enough.
    """
    shop = await lab.server("shop.test")
    rogue = Authority.create("Mallory's CA")
    store = lab.folder / "rogue.pem"
    store.write_bytes(rogue.root_pem)
    client = lab.client(system_store=True, environment={"SSL_CERT_FILE": str(store)})
    mallory = await lab.interceptor(victim=client, authority=rogue)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", twin="environment_points_to_another_store")
async def program_brings_its_own_store(lab: Lab) -> None:
    """A program that names its roots itself does not read SSL_CERT_FILE."""
    shop = await lab.server("shop.test")
    rogue = Authority.create("Mallory's CA")
    store = lab.folder / "rogue.pem"
    store.write_bytes(rogue.root_pem)
    client = lab.client(environment={"SSL_CERT_FILE": str(store)})
    mallory = await lab.interceptor(victim=client, authority=rogue)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
