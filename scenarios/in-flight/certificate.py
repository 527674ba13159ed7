"""What the handshake itself gives away: TLS 1.2 shows the certificate, TLS 1.3 hides it.

The secret here is a name in the certificate, that of a project nobody should know of yet.
"""

from tlslab import Lab, Version, scenario


@scenario(group="in-flight", outcome="breached", twin="tls13_hides_the_certificate", headline=True)
async def tls12_shows_the_certificate(lab: Lab) -> None:
    """TLS 1.2 sends the server's certificate in the clear, with every name that is in it."""
    project = lab.canary("project's name")
    shop = await lab.server("shop.test", also=[f"{project.text}.test"], maximum=Version.TLS_1_2)
    sniffer = lab.sniffer()

    await lab.client().get(shop.url())

    lab.expect(sniffer).saw(project)
    lab.expect(sniffer).learned(server_name="shop.test", tls_version="TLS 1.2")


@scenario(group="in-flight", twin="tls12_shows_the_certificate", headline=True)
async def tls13_hides_the_certificate(lab: Lab) -> None:
    """TLS 1.3 encrypts the certificate, but the server's name still stands in the ClientHello."""
    project = lab.canary("project's name")
    shop = await lab.server("shop.test", also=[f"{project.text}.test"])
    sniffer = lab.sniffer()

    await lab.client().get(shop.url())

    lab.expect(sniffer).saw_no(project)
    lab.expect(sniffer).learned(server_name="shop.test", tls_version="TLS 1.3")
