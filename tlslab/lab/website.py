"""A website: a page with a login form, on port 443 and, one way or another, on port 80 too.

It knows nothing of who visits it. What its page and its header fields say about later connections
is what the lessons on stripping turn on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Literal, TypeAlias

import trio

from tlslab.errors import TlslabError
from tlslab.http import Headers, Request, Response
from tlslab.lab.services import Server
from tlslab.lab.witness import WatchedStream
from tlslab.net import Connection

OverHTTP: TypeAlias = Literal["redirect", "page"]
"""What a site does for those who come without TLS: lead them to https, or serve them its page."""

PLAIN_PORT = 80

LOGIN = "/login"


@dataclass(kw_only=True)
class Website(Server):
    """A site. Who logs in is given `session` as a cookie with `cookie_attributes`.

    `hsts` is its Strict-Transport-Security field and `csp` its Content-Security-Policy, each None
    for none. `form_action` is where its login form is sent (None: to itself, over TLS where it has
    TLS); `links` are the further links of its page, by their text. Without TLS it is reached on
    port 80 only.
    """

    over_http: OverHTTP = "redirect"
    hsts: str | None = None
    csp: str | None = None
    form_action: str | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    session: bytes = b"anonymous"
    cookie_attributes: str = "Secure; HttpOnly"

    async def serve_plain_connection(self, connection: Connection) -> None:
        """Serve one client that came to port 80."""
        try:
            async with connection:
                await self.serve_stream(connection, connection.flow.client.name)
        except* (TlslabError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    def answer(self, request: Request, body: bytes, stream: trio.abc.Stream, peer: str) -> Response:
        """The page, a welcome to who has logged in, or the way to https."""
        secure = isinstance(stream, WatchedStream)
        if not secure and self.policy is not None and self.over_http == "redirect":
            return Response(301, [(b"Location", self.url(request.target).encode())])
        headers: Headers = [(b"Content-Type", b"text/html; charset=utf-8")]
        if self.hsts is not None and secure:  # RFC 6797 section 7.2: never without TLS
            headers.append((b"Strict-Transport-Security", self.hsts.encode()))
        if self.csp is not None:
            headers.append((b"Content-Security-Policy", self.csp.encode()))
        if request.method != "POST" or request.path != LOGIN:
            return Response(200, headers, self._page().encode())
        cookie = b"session=" + self.session
        if self.cookie_attributes:
            cookie += f"; {self.cookie_attributes}".encode()
        headers.append((b"Set-Cookie", cookie))
        return Response(200, headers, b"<!doctype html><title>Welcome</title><p>Welcome.")

    def _page(self) -> str:
        links = "".join(
            f'<p><a href="{escape(url)}">{escape(text)}</a></p>\n'
            for text, url in self.links.items()
        )
        return (
            f"<!doctype html>\n<title>{escape(self.name)}</title>\n{links}"
            f'<form method="post" action="{escape(self.form_action or self.url(LOGIN))}">\n'
            '<input type="password" name="password">\n</form>\n'
        )
