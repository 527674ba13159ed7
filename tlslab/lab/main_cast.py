"""The main cast: how a lab makes the parties that most lessons need.

Each is described in the module of its concept; here it gets a certificate, a policy and a place on
the lab's network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Unpack

from tlslab.capture import Canary
from tlslab.endpoint import StateFolder, open_backend
from tlslab.iam import AccessKey, Identities
from tlslab.lab.ca_services import CAService, CAServices, services_for
from tlslab.lab.client import Client, Resumption
from tlslab.lab.early_data import EARLY_DATA_SIZE, EarlyClient, EarlyServer, Replays
from tlslab.lab.judge import Checks, FirstUse, judged
from tlslab.lab.object_store import Clock, Store
from tlslab.lab.parties import Service
from tlslab.lab.pretence import Claim
from tlslab.lab.services import Server, TerminatingEdge
from tlslab.lab.stage import ClientCertificate, Stage
from tlslab.pki import KeyType, TrustStore
from tlslab.pki.faults import Fault, FaultyServer, build
from tlslab.pki.revocation import Revocations
from tlslab.tls import AnyVersion, ClientPolicy, ServerPolicy, Version
from tlslab.tls.context import context_for


class MainCast(Stage):
    """The part of a lab that makes clients, servers, stores, proxies, and what the CA offers."""

    def client(
        self,
        name: str = "client",
        *,
        verify_chain: bool = True,
        verify_name: bool = True,
        certificate: bool | str = False,
        minimum: AnyVersion = Version.TLS_1_2,
        maximum: AnyVersion = Version.TLS_1_3,
        ciphers: str | None = None,
        groups: tuple[str, ...] | None = None,
        alpn: tuple[str, ...] = (),
        require_close_notify: bool = True,
        resumption: Resumption = "never",
        forgets_sessions: bool = True,
        first_use: bool = False,
        partial_chain: bool = False,
        system_store: bool = False,
        environment: Mapping[str, str] | None = None,
        trust: TrustStore | None = None,
        user: AccessKey | None = None,
        **checks: Unpack[Checks],
    ) -> Client:
        """A client that verifies chain and name, unless told not to, by the lab's CA or `trust`.

        With a store's `user` it signs its requests. `certificate` gives it one of the lab's CA, in
        its own name or the one given. With `first_use` it knows no CA and trusts whatever key it
        saw first; with `system_store` it goes by the operating system's roots, as OpenSSL finds
        them in the `environment` that it was started in. What it checks beyond (revocation, pins, a
        stricter policy) is explained at `judge.Checks`, `resumption` and `forgets_sessions` at
        `Client`, the rest at `ClientPolicy`.
        """
        subject = certificate if isinstance(certificate, str) else f"{name}.test"
        policy = ClientPolicy(
            trust=None if system_store else (trust or self.ca.trust),
            verify_chain=verify_chain and not first_use,
            verify_name=verify_name,
            minimum=minimum,
            maximum=maximum,
            judge=FirstUse() if first_use else None,
            credential=self.ca.issue(subject, profile="client") if certificate else None,
            ciphers=ciphers,
            groups=groups,
            alpn=alpn,
            require_close_notify=require_close_notify,
            partial_chain=partial_chain,
        )
        client = Client(
            policy=policy,
            user=user,
            resumption=resumption,
            forgets_sessions=forgets_sessions,
            **self._basics(name),
        )
        judged(client, checks)
        if environment is not None:
            with _environment(environment):
                context_for(client.policy)  # which reads the store, once
        return self._join(client)

    async def server(
        self,
        name: str,
        *,
        tls: bool = True,
        also: Sequence[str] = (),
        reply: bytes | Canary = b"thank you\n",
        pages: Mapping[str, bytes] | None = None,
        client_certificate: ClientCertificate = "none",
        minimum: AnyVersion = Version.TLS_1_2,
        maximum: AnyVersion = Version.TLS_1_3,
        ciphers: str | None = None,
        groups: tuple[str, ...] | None = None,
        alpn: tuple[str, ...] = (),
        key_type: KeyType | None = None,
        strict_name: bool = False,
        until_close: bool = False,
        must_staple: bool = False,
        port: int | None = None,
    ) -> Server:
        """A web server (and WebSocket chat) called `name`, which is listening when this returns.

        `also` are further names in its certificate, `key_type` is that of its key; with
        `must_staple` the certificate demands a stapled OCSP response (RFC 7633).
        `client_certificate` is `"none"`, `"optional"` or `"required"`. Without `tls` it speaks
        plain HTTP. `pages`, `strict_name` and `until_close` are explained at `Service` and
        `Server`.
        """
        policy = (
            self.server_policy(name, *also, client_certificate=client_certificate,
                               minimum=minimum, maximum=maximum, ciphers=ciphers,
                               groups=groups, alpn=alpn, key_type=key_type,
                               must_staple=must_staple)
            if tls
            else None
        )  # fmt: skip
        body = reply.token if isinstance(reply, Canary) else reply
        server = Server(
            policy=policy,
            port=_port(port, policy),
            reply=body,
            pages=pages or {},
            strict_name=strict_name,
            until_close=until_close,
            **self._basics(name),
        )
        await self.start(server)
        return server

    async def early_server(self, name: str, *, replays: Replays = "taken") -> EarlyServer:
        """A web server that takes early data (0-RTT), listening when this returns."""
        once = replays == "tickets used once"
        policy = replace(
            self.server_policy(name), early_data=EARLY_DATA_SIZE, single_use_tickets=once
        )
        server = EarlyServer(policy=policy, port=443, replays=replays, **self._basics(name))
        await self.start(server)
        return server

    def early_client(self, name: str = "client") -> EarlyClient:
        """A careful client that sends early data wherever it has a session to resume."""
        policy = ClientPolicy(trust=self.ca.trust)
        return self._join(
            EarlyClient(policy=policy, resumption="fresh tickets", **self._basics(name))
        )

    async def store(
        self,
        name: str = "store.test",
        *,
        encrypted: bool = True,
        tls: bool = False,
        believes: Claim | None = None,
    ) -> Store:
        """An object store with its disks in the lab's folder, listening when this returns.

        `encrypted`: what comes without instructions is encrypted with a key that the store manages
        (SSE-S3). Otherwise nothing is, as if there were no such thing. What it `believes` of
        connections without proof is explained at `pretence`: by default nothing.
        """
        state = StateFolder(self.folder / name)
        root = await state.open_root_of_trust()
        clock = Clock()
        settings = state.settings(root, Identities.generate(), plain=not encrypted, now=clock)
        backend = await self._kept_open.enter_async_context(open_backend(settings, create=True))
        policy = self.server_policy(name) if tls else None
        store = Store(
            policy=policy,
            port=_port(None, policy),
            state=state,
            settings=settings,
            backend=backend,
            clock=clock,
            believes=believes,
            **self._basics(name),
        )
        await self.start(store)
        return store

    async def terminating_proxy(
        self,
        name: str,
        upstream: Service,
        *,
        tls: bool = True,
        client_certificate: ClientCertificate = "none",
        port: int | None = None,
    ) -> TerminatingEdge:
        """A TLS-terminating proxy called `name` in front of `upstream`.

        It speaks TLS to the upstream where the upstream does. Without `tls` it passes plain HTTP.
        """
        policy = self.server_policy(name, client_certificate=client_certificate) if tls else None
        upstream_policy = ClientPolicy(trust=self.ca.trust) if upstream.policy else None
        edge = TerminatingEdge(
            policy=policy,
            port=_port(port, policy),
            upstream=upstream,
            upstream_policy=upstream_policy,
            proxy_key=upstream.proxy_key if isinstance(upstream, Store) else None,
            **self._basics(name),
        )
        await self.start(edge)
        return edge

    def faulty(self, fault: str) -> FaultyServer:
        """What it takes to show a fault, made anew: a certificate, and what its client believes.

        `fault` is the id of one of those that ship. Raises UsageError if there is none.
        """
        return build(Fault.named(fault), self.ca)

    async def ca_services(self) -> CAServices:
        """The CA's revocation lists and OCSP responder, listening when this returns.

        Without them the URLs in certificates lead nowhere.
        """
        services = services_for(Revocations(self.ca))
        for name, answer in services.answers.items():
            basics = self._basics(name)
            await self.start(CAService(policy=None, port=80, answer=answer, **basics))
        return services


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have this process's environment hold `variables` as well, for as long as nobody waits."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _port(port: int | None, policy: ServerPolicy | None) -> int:
    return port if port is not None else (80 if policy is None else 443)
