"""The supporting cast: how a lab makes the parties and adversaries of single lessons.

Those are the lessons on stripping, mail, proxies and identity. Each is described in the module of
its concept; here they are put on a lab's network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from tlslab.attack.strip import PLAIN_PORT, StripTLS
from tlslab.capture import Canary
from tlslab.lab.binding import Binding, TokenClient, TokenServer
from tlslab.lab.browser import Browser
from tlslab.lab.client import Client
from tlslab.lab.explicit_proxy import PROXY_PORT, CheatingProxy, ProxiedClient
from tlslab.lab.hsts import HSTSStore
from tlslab.lab.identity import IdentifiedBy, IdentifyingEdge, Impostor, OwnersServer
from tlslab.lab.mail import (
    IMPLICIT_TLS_PORT,
    RELAY_PORT,
    MailboxOwner,
    MailClient,
    MailServer,
    MailTLS,
)
from tlslab.lab.parties import Party, Service
from tlslab.lab.stage import ClientCertificate, Stage
from tlslab.lab.stripper import Stripper
from tlslab.lab.website import OverHTTP, Website
from tlslab.net import Chunk
from tlslab.pki import Credential
from tlslab.tls import ClientPolicy

STRIPPER_PORT = 8080
"""The port, in the lab's network, at which a stripper waits for diverted connections."""


class SupportingCast(Stage):
    """The part of a lab that makes them."""

    # -- the web ---------------------------------------------------------------------------------

    def browser(
        self,
        name: str = "browser",
        *,
        preloaded: Iterable[str] = (),
        clicks_through: bool = False,
    ) -> Browser:
        """A browser that knows HSTS; `preloaded` are the hosts on the list it came with.

        `clicks_through` is for somebody who clicks warnings away where the browser allows it.
        """

        def clock() -> float:
            return time.time() + browser.clock_shift.total_seconds()

        browser = Browser(
            policy=ClientPolicy(trust=self.ca.trust),
            hsts=HSTSStore(clock, frozenset(preloaded)),
            clicks_through=clicks_through,
            **self._basics(name),
        )
        return self._join(browser)

    async def website(
        self,
        name: str,
        *,
        tls: bool = True,
        over_http: OverHTTP = "redirect",
        hsts: str | None = None,
        csp: str | None = None,
        form_action: str | None = None,
        links: Mapping[str, str] | None = None,
        session: Canary | None = None,
        cookie_attributes: str = "Secure; HttpOnly",
    ) -> Website:
        """A site with a login form, on port 443 (with `tls`) and on port 80.

        The rest is explained at `Website`.
        """
        website = Website(
            policy=self.server_policy(name) if tls else None,
            port=443 if tls else PLAIN_PORT,
            over_http=over_http,
            hsts=hsts,
            csp=csp,
            form_action=form_action,
            links=links or {},
            session=session.token if session else b"anonymous",
            cookie_attributes=cookie_attributes,
            **self._basics(name),
        )
        await self.start(website)
        if tls:
            listener = await website.host.listen(PLAIN_PORT)
            self._accept(website.serve_plain_connection, listener)
        return website

    async def stripper(
        self, victim: Client, *, renames: bool = False, name: str = "mallory"
    ) -> Stripper:
        """Somebody on the path of `victim` who keeps it from beginning TLS.

        With `renames` the victim is given names of hosts that it cannot have seen before.
        """
        own = Party(**self._basics(name))
        divert = partial(self.network.divert, own.host, STRIPPER_PORT, victim=victim.name)

        def claim(made_up: str) -> None:
            self.network.host(made_up)
            divert(target=made_up)

        stripper = Stripper(own, StripTLS(renames), ClientPolicy(trust=self.ca.trust), claim)

        def tap(chunk: Chunk) -> None:
            if chunk.flow.client.name == victim.name:
                stripper.tap(chunk)

        self._accept(stripper.serve_connection, await own.host.listen(STRIPPER_PORT))
        divert(target_port=PLAIN_PORT)
        self.network.tap(tap)
        stripper.behind = victim.name
        self.adversaries.append(stripper)
        return stripper

    # -- mail ------------------------------------------------------------------------------------

    async def mail_server(
        self,
        name: str = "mail.test",
        *,
        implicit_tls: bool = False,
        forgets_buffer: bool = True,
    ) -> MailServer:
        """An SMTP server with STARTTLS on port 25, or with TLS from the start on port 465."""
        server = MailServer(
            policy=self.server_policy(name),
            port=IMPLICIT_TLS_PORT if implicit_tls else RELAY_PORT,
            implicit_tls=implicit_tls,
            forgets_buffer=forgets_buffer,
            **self._basics(name),
        )
        await self.start(server)
        return server

    def mail_client(self, name: str = "client", *, tls: MailTLS = "if offered") -> MailClient:
        """A client that sends letters, over TLS as `tls` says."""
        policy = ClientPolicy(trust=self.ca.trust)
        return self._join(MailClient(policy=policy, mail_tls=tls, **self._basics(name)))

    def mailbox_owner(
        self, server: MailServer, address: str, name: str | None = None
    ) -> MailboxOwner:
        """Somebody who reads the letters that come to `address`."""
        owner = MailboxOwner(name or f"owner of {address}", address, server.mailboxes)
        self.adversaries.append(owner)
        return owner

    # -- proxies ---------------------------------------------------------------------------------

    def proxied_client(
        self, proxy: str, name: str = "client", *, verify_name: bool = True
    ) -> ProxiedClient:
        """A client that was told to reach every host through the proxy called `proxy`."""
        policy = ClientPolicy(trust=self.ca.trust, verify_name=verify_name)
        return self._join(ProxiedClient(policy=policy, proxy=proxy, **self._basics(name)))

    async def cheating_proxy(self, name: str, *, genuine: Credential) -> CheatingProxy:
        """A proxy that leads every tunnel to a server of its own with a `genuine` certificate."""
        proxy = CheatingProxy(
            Party(**self._basics(name)),
            authority=self.ca,
            issue=lambda asked: genuine,
            upstream_policy=ClientPolicy(trust=self.ca.trust),
        )
        host = self.network.host(name)
        self._accept(proxy.serve_connection, await host.listen(PROXY_PORT))
        self.adversaries.append(proxy)
        return proxy

    # -- identity --------------------------------------------------------------------------------

    async def owners_server(
        self,
        name: str,
        *,
        owner: str,
        reply: Canary,
        identified_by: IdentifiedBy = "alternative name",
        client_certificate: ClientCertificate = "required",
        proxy: str | None = None,
    ) -> OwnersServer:
        """A server that gives `reply` to the client called `owner` only; see `OwnersServer`."""
        server = OwnersServer(
            policy=self.server_policy(name, client_certificate=client_certificate),
            port=443,
            owner=owner,
            reply=reply.token,
            identified_by=identified_by,
            proxy=proxy,
            **self._basics(name),
        )
        await self.start(server)
        return server

    async def identifying_proxy(
        self, name: str, upstream: Service, *, removes_forged: bool = True
    ) -> IdentifyingEdge:
        """A proxy that asks clients for a certificate and tells `upstream` which one it got.

        It proves itself to the upstream with a client certificate for its own name.
        """
        policy = ClientPolicy(trust=self.ca.trust, credential=self.ca.issue(name, profile="client"))
        edge = IdentifyingEdge(
            policy=self.server_policy(name, client_certificate="optional"),
            port=443,
            upstream=upstream,
            upstream_policy=policy if upstream.policy else None,
            removes_forged=removes_forged,
            **self._basics(name),
        )
        await self.start(edge)
        return edge

    def impostor(self, name: str = "mallory", *, certificate: Credential | None = None) -> Impostor:
        """A client that asks for what belongs to another, with a certificate of its own or none."""
        policy = replace(ClientPolicy(trust=self.ca.trust), credential=certificate)
        impostor = Impostor(Client(policy=policy, **self._basics(name)))
        self.adversaries.append(impostor)
        return impostor

    # -- tokens ----------------------------------------------------------------------------------

    def token_client(
        self, token: Canary, name: str = "client", *, binding: Binding = "nothing"
    ) -> TokenClient:
        """A client that shows `token` to every server, bound as `binding` says."""
        policy = ClientPolicy(trust=self.ca.trust)
        client = TokenClient(
            policy=policy, token=token.token, binding=binding, **self._basics(name)
        )
        return self._join(client)

    async def token_server(
        self, name: str, token: Canary, *, reply: Canary, binding: Binding = "nothing"
    ) -> TokenServer:
        """A server that gives `reply` to who shows `token`, bound as `binding` says."""
        server = TokenServer(
            policy=self.server_policy(name),
            port=443,
            token=token.token,
            binding=binding,
            reply=reply.token,
            **self._basics(name),
        )
        await self.start(server)
        return server
