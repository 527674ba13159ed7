"""A browser: a client that completes addresses, follows redirects, and sends forms and cookies.

What matters here is which URL it turns an address, a link or a form into, since that decides
whether TLS is spoken at all. It renders nothing and runs no scripts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from urllib.parse import urljoin, urlsplit

from tlslab.capture import Canary
from tlslab.errors import UsageError
from tlslab.http import Headers, header
from tlslab.lab.client import Answer, Client
from tlslab.lab.cookies import CookieJar
from tlslab.lab.hsts import HSTSStore
from tlslab.lab.page import Page, read_page
from tlslab.lab.url import URL
from tlslab.lab.witness import Conversation
from tlslab.tls import CertificateRefused

MAX_REDIRECTS: Final = 20
"""Redirects that are followed for one address, as the Fetch standard has it (section 4.4)."""

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_KEEP_THE_METHOD: Final = (307, 308)


@dataclass(kw_only=True)
class Browser(Client):
    """A browser, and whoever sits before it. `clicks_through` is one who ignores warnings."""

    hsts: HSTSStore
    cookies: CookieJar = field(default_factory=CookieJar)
    clicks_through: bool = False
    clock_shift: timedelta = timedelta(0)

    def move_clock(self, by: timedelta) -> None:
        """Set this computer's clock forward, as a forged answer of a time server does."""
        self.clock_shift += by

    async def visit(self, address: str) -> Page:
        """Go to an address as people type it: http:// stands in front of it unless they say so."""
        return await self._navigate("GET", address if "://" in address else f"http://{address}")

    async def follow(self, page: Page, text: str) -> Page:
        """Follow the link of a page that has this text."""
        return await self._navigate("GET", page.link(text))

    async def submit(self, page: Page, secret: Canary) -> Page:
        """Put a secret into every field of the page's first form, and send the form off."""
        form = page.form()
        action = form.action
        if page.upgrades_requests and action.startswith("http:"):
            action = "https:" + action.removeprefix("http:")
        body = "&".join(f"{name}={secret.text}" for name in form.fields)
        return await self._navigate("POST", action, body.encode())

    @asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[Conversation]:
        """A WebSocket, over TLS where HSTS asks for it (as the WebSockets standard has it)."""
        async with super().websocket(self._upgraded(url)) as conversation:
            yield conversation

    async def _navigate(self, method: str, url: str, body: bytes = b"") -> Page:
        for _ in range(MAX_REDIRECTS + 1):
            url = self._upgraded(url)
            answer = await self._ask(method, url, body)
            location = header(answer.headers, b"location")
            if answer.status not in _REDIRECTS or location is None:
                csp = header(answer.headers, b"content-security-policy") or b""
                directives = {one.strip().lower() for one in csp.split(b";")}
                upgrades = b"upgrade-insecure-requests" in directives
                return read_page(url, answer.status, answer.body, upgrades_requests=upgrades)
            url = _joined(url, location.decode("latin-1"))
            if answer.status not in _KEEP_THE_METHOD:
                method, body = "GET", b""
        raise UsageError(f"more than {MAX_REDIRECTS} redirects lead to {url}")

    async def _ask(self, method: str, url: str, body: bytes) -> Answer:
        to = URL.parse(url)
        cookies = self.cookies.header(to.host, secure=to.secure)
        headers: Headers = [(b"Cookie", cookies.encode("latin-1"))] if cookies else []
        if body:
            headers.append((b"Content-Type", b"application/x-www-form-urlencoded"))
        verified = self.policy.verify_chain and self.policy.verify_name
        try:
            answer = await self.request(method, url, body, headers=headers)
        except CertificateRefused:
            if not self.clicks_through or self.hsts.covers(to.host):  # RFC 6797 section 12.1
                raise
            self.journal.message(self.name, self.name, "clicks the warning away", "note")
            verified = False
            with self._unverified():
                answer = await self.request(method, url, body, headers=headers)
        self._take_notice(to, answer, verified=verified)
        return answer

    def _take_notice(self, to: URL, answer: Answer, *, verified: bool) -> None:
        """Keep what the answer's head says about later visits."""
        hsts = header(answer.headers, b"strict-transport-security")
        if hsts is not None and to.secure and verified:  # RFC 6797 section 8.1
            self.hsts.note(to.host, hsts.decode("latin-1"))
        for name, value in answer.headers:
            if name.lower() == b"set-cookie":
                self.cookies.note(to.host, value.decode("latin-1"), secure=to.secure)

    @contextmanager
    def _unverified(self) -> Iterator[None]:
        careful = self.policy
        self.policy = replace(careful, verify_chain=False, verify_name=False)
        try:
            yield
        finally:
            self.policy = careful

    def _upgraded(self, url: str) -> str:
        """The URL that is really asked for; the default port changes with the scheme (8.3)."""
        to = URL.parse(url)
        scheme = self.hsts.upgraded_scheme(to.scheme, to.host)
        if scheme == to.scheme:
            return url
        self.journal.message(self.name, self.name, f"{to.host} is reached over TLS alone", "note")
        port = "" if to.port == 80 else f":{to.port}"
        return f"{scheme}://{to.host}{port}{to.target}"


def _joined(base: str, location: str) -> str:
    try:
        return urlsplit(urljoin(base, location))._replace(fragment="").geturl()
    except ValueError as error:
        raise UsageError(f"a redirect leads to no URL: {error}") from error
