"""Names that TLS says aloud: whom one calls, who one is, what one speaks."""

from tlslab import Lab, Version, scenario, scenarios

VERSIONS = {
    "TLS 1.2": {"version": Version.TLS_1_2},
    "TLS 1.3": {"version": Version.TLS_1_3},
}


@scenarios(VERSIONS, group="metadata", outcome="breached", twin="the_path_is_not_in_sight[{case}]")
async def the_server_name_is_in_sight(lab: Lab, version: Version) -> None:
    """The ClientHello names the server in plain, in {version} too: that alone may be the secret.

    Encrypted Client Hello would hide it; this OpenSSL has it, but the binding in use does not.
    """
    clinic = lab.canary("clinic's name")
    server = await lab.server(f"{clinic.text}.test")
    sniffer = lab.sniffer()

    await lab.client(maximum=version).get(server.url("/"))

    lab.expect(sniffer).saw(clinic)
    lab.expect(sniffer).learned(server_name=f"{clinic.text}.test")


@scenarios(VERSIONS, group="metadata", twin="the_server_name_is_in_sight[{case}]")
async def the_path_is_not_in_sight(lab: Lab, version: Version) -> None:
    """Many names behind one: where the secret is in the path, a sniffer sees only the portal."""
    clinic = lab.canary("clinic's name")
    server = await lab.server("clinics.test")
    sniffer = lab.sniffer()

    await lab.client(maximum=version).get(server.url(f"/{clinic.text}/"))

    lab.expect(server).received(clinic)
    lab.expect(sniffer).saw_no(clinic)
    lab.expect(sniffer).learned(server_name="clinics.test")


@scenario(group="metadata", outcome="breached", twin="tls13_hides_the_clients_certificate")
async def tls12_shows_the_clients_certificate(lab: Lab) -> None:
    """In TLS 1.2 a client that proves who it is tells everybody on the path."""
    person = lab.canary("person's name")
    office = await lab.server("office.test", client_certificate="required")
    client = lab.client(certificate=f"{person.text}.test", maximum=Version.TLS_1_2)
    sniffer = lab.sniffer()

    await client.get(office.url("/"))

    lab.expect(sniffer).saw(person)


@scenario(group="metadata", twin="tls12_shows_the_clients_certificate")
async def tls13_hides_the_clients_certificate(lab: Lab) -> None:
    """In TLS 1.3 certificates travel encrypted, the client's only to a server that was verified."""
    person = lab.canary("person's name")
    office = await lab.server("office.test", client_certificate="required")
    client = lab.client(certificate=f"{person.text}.test")
    sniffer = lab.sniffer()

    await client.get(office.url("/"))

    lab.expect(sniffer).saw_no(person)
    lab.expect(sniffer).learned(tls_version="TLS 1.3")


@scenarios(VERSIONS, group="metadata", outcome="breached",
           twin="a_protocol_agreed_on_inside_is_not_in_sight[{case}]")  # fmt: skip
async def the_offered_protocols_are_in_sight(lab: Lab, version: Version) -> None:
    """The list of protocols (ALPN) stands in the ClientHello, in plain, in {version} too."""
    protocol = lab.canary("protocol's name")
    names = (protocol.text, "http/1.1")
    server = await lab.server("hub.test", alpn=("http/1.1",))
    sniffer = lab.sniffer()

    await lab.client(alpn=names, maximum=version).get(server.url("/"))

    lab.expect(sniffer).saw(protocol)
    lab.expect(sniffer).learned(alpn_offered=", ".join(names))


@scenarios(VERSIONS, group="metadata", twin="the_offered_protocols_are_in_sight[{case}]")
async def a_protocol_agreed_on_inside_is_not_in_sight(lab: Lab, version: Version) -> None:
    """Offer what everybody offers, and ask for the rest inside the connection."""
    protocol = lab.canary("protocol's name")
    server = await lab.server("hub.test", alpn=("http/1.1",))
    sniffer = lab.sniffer()

    await lab.client(alpn=("http/1.1",), maximum=version).post(server.url("/"), protocol)

    lab.expect(server).received(protocol)
    lab.expect(sniffer).saw_no(protocol)
    lab.expect(sniffer).learned(alpn_offered="http/1.1")
