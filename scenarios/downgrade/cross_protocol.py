"""The right bytes at the wrong server: another virtual host, another protocol, no TLS at all.

Nobody needs to touch a byte of a TLS connection to lead it elsewhere. Whether it works there is a
matter of certificates that are good for too much, and of servers that do not look whom they serve.
"""

from typing import Any

from tlslab import Lab, scenario, scenarios
from tlslab.attack import Redirect

OTHERS = {
    "server name": {"minds": "name", "strict": {"strict_name": True}, "why": "unrecognized_name"},
    "ALPN": {"minds": "protocol", "strict": {"alpn": ("imap",)}, "why": "no_application_protocol"},
}


@scenarios(OTHERS, group="downgrade", twin="request_is_led_to_another_server")
async def request_led_astray_is_refused(
    lab: Lab, minds: str, strict: dict[str, Any], why: str
) -> None:
    """A server that minds its own {minds} refuses what was meant for another: {why}."""
    www = await lab.server("www.shop.test", also=["*.shop.test"])
    mail = await lab.server("mail.shop.test", also=["*.shop.test"], **strict)
    client = lab.client(alpn=("http/1.1",))
    mallory = await lab.tamperer(Redirect("mail.shop.test"))
    cookie = lab.canary("session cookie")

    with lab.expect(mail).refuses(alert=why):
        await client.post(www.url("/login"), cookie)

    lab.expect(mail).received_no(cookie)
    lab.expect(mallory).achieved_nothing()


@scenario(group="downgrade", outcome="breached", twin="request_led_astray_is_refused[ALPN]")
async def request_is_led_to_another_server(lab: Lab) -> None:
    """One wildcard certificate for all servers, and none that looks: any of them will do.

    The client verified the certificate, and rightly so. This is the ground on which ALPACA stands:
    a server that was never meant to see the request answers it in the other's name.
    """
    www = await lab.server("www.shop.test", also=["*.shop.test"])
    mail = await lab.server("mail.shop.test", also=["*.shop.test"])
    client = lab.client(alpn=("http/1.1",))
    mallory = await lab.tamperer(Redirect("mail.shop.test"))
    cookie = lab.canary("session cookie")

    await client.post(www.url("/login"), cookie)

    lab.expect(mail).received(cookie)
    lab.expect(www).received_no(cookie)
    lab.expect(mallory).achieved("misdirected").saw_no(cookie)


@scenario(group="downgrade", outcome="breached", twin="tls_to_a_plain_port_says_nothing")
async def plain_http_to_a_tls_port_is_read(lab: Lab) -> None:
    """The server refuses plain HTTP on its TLS port, but by then the request was on the cable."""
    shop = await lab.server("shop.test")
    sniffer = lab.sniffer()
    client = lab.client()
    card = lab.canary("card number")

    with lab.expect(shop).refuses():
        await client.post("http://shop.test:443/pay", card)

    lab.expect(shop).received_no(card)
    lab.expect(sniffer).saw(card)


@scenario(group="downgrade", twin="plain_http_to_a_tls_port_is_read")
async def tls_to_a_plain_port_says_nothing(lab: Lab) -> None:
    """A client that insists on TLS meets a server without: it gives nothing but its hello away."""
    shop = await lab.server("shop.test", tls=False)
    sniffer = lab.sniffer()
    client = lab.client()
    card = lab.canary("card number")

    with lab.expect(client).refuses():
        await client.post("https://shop.test:80/pay", card)

    lab.expect(shop).received_no(card)
    lab.expect(sniffer).saw_no(card)
