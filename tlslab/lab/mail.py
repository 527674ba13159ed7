"""Mail: an SMTP server with mailboxes and a client that sends letters, with STARTTLS or without.

As much of RFC 5321 and RFC 3207 as one letter needs. What they do before TLS begins, and whether
they insist on it, is what the lessons turn on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

import trio

from tlslab.capture import Canary
from tlslab.errors import NetworkError, TLSError
from tlslab.lab.adversaries import Adversary
from tlslab.lab.client import Client
from tlslab.lab.parties import Service
from tlslab.lab.services import Server
from tlslab.lab.smtp_lines import Lines
from tlslab.lab.url import URL
from tlslab.lab.witness import WatchedStream
from tlslab.net import Connection
from tlslab.pki import Explanation
from tlslab.tls import TLSStream

RELAY_PORT: Final = 25
IMPLICIT_TLS_PORT: Final = 465  # RFC 8314 section 7.3: submissions, with TLS from the first byte

MAX_LETTER: Final = 1 << 20
"""Bytes of a letter that are taken."""

MAX_RECIPIENTS: Final = 100
"""Of one letter (RFC 5321 section 4.5.3.1.8 asks for that many)."""

MAX_LETTERS: Final = 1000
"""That a server of the lab keeps, in all its mailboxes."""

MAX_REPLY_LINES: Final = 100
"""Of one reply; a server that says more is only wasting our time."""

MailTLS: TypeAlias = Literal["if offered", "required", "from the start"]
"""When a client sends over TLS: if the server offers it, always, or on a port that has only TLS."""

NOT_OFFERED: Final = Explanation(
    name="STARTTLS not offered",
    meaning="the server did not say that it can do TLS, and the client sends nothing without",
    cause="somebody on the path took the offer away, or the server has no TLS",
    fix="use the port for TLS from the start (465), or find out who is in between",
)

_PATH: Final = re.compile(rb"(?:FROM|TO):<([^<>\r\n]{0,256})>.*", re.IGNORECASE)


@dataclass(kw_only=True)
class MailServer(Server):
    """Takes letters for anybody and puts them into mailboxes.

    With `forgets_buffer` it drops what a client has sent before TLS began, as RFC 3207 section 4.2
    means; without, it obeys that afterwards.
    """

    implicit_tls: bool = False
    forgets_buffer: bool = True
    mailboxes: dict[str, list[bytes]] = field(default_factory=dict, repr=False)

    async def serve(self, connection: Connection) -> None:
        """Serve one client, with TLS from the start or when it asks for it."""
        if self.implicit_tls:
            await super().serve(connection)
        else:
            await self.serve_stream(connection, connection.flow.client.name)

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """SMTP."""
        dialogue = _Dialogue(self, Lines(stream), peer)
        try:
            await dialogue.run()
            await dialogue.lines.stream.aclose()
        except NetworkError:
            pass  # the client went away, or talks no SMTP
        finally:
            await trio.aclose_forcefully(dialogue.lines.stream)

    def deliver(self, peer: str, recipients: list[str], letter: bytes) -> None:
        """Put a letter into the mailboxes of its recipients."""
        self.received.append(letter)
        self.journal.heard(self.name, peer, letter)
        for recipient in recipients:
            if sum(map(len, self.mailboxes.values())) < MAX_LETTERS:
                self.mailboxes.setdefault(recipient, []).append(letter)
        self.journal.message(peer, self.name, f"letter for {', '.join(recipients)}", "note")

    @property
    def can_start_tls(self) -> bool:
        """Whether a connection that began in the clear can go on over TLS."""
        return self.policy is not None and not self.implicit_tls


class _Dialogue:
    """One client's connection, as the server sees it."""

    def __init__(self, server: MailServer, lines: Lines, peer: str) -> None:
        self.lines = lines
        self._server = server
        self._peer = peer
        self._tls = not server.can_start_tls
        self._sender: bytes | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self.lines.write(b"220 " + self._server.name.encode() + b" ESMTP")
        while True:
            verb, _, rest = (await self.lines.read()).partition(b" ")
            if not await self._obey(verb.upper(), rest):
                return

    async def _obey(self, verb: bytes, rest: bytes) -> bool:
        """Answer a command; whether there can be another."""
        path = _PATH.fullmatch(rest)
        match verb:
            case b"EHLO":
                offer = () if self._tls else (b"250-STARTTLS",)
                name = self._server.name.encode()
                await self.lines.write(b"250-" + name, *offer, b"250 8BITMIME")
            case b"NOOP" | b"HELO":
                await self.lines.write(b"250 ok")
            case b"RSET":
                self._forget_letter()
                await self.lines.write(b"250 ok")
            case b"STARTTLS" if not self._tls and not rest:
                await self._start_tls()
            case b"MAIL" if path and self._sender is None:
                self._sender = path[1]
                await self.lines.write(b"250 ok")
            case b"RCPT" if path and self._sender is not None:
                await self._add_recipient(path[1].decode("ascii", "replace"))
            case b"DATA" if self._recipients:
                await self._take_letter()
            case b"QUIT":
                await self.lines.write(b"221 goodbye")
                return False
            case b"MAIL" | b"RCPT" | b"DATA" | b"STARTTLS":
                await self.lines.write(b"503 not like that, or not now")
            case _:
                await self.lines.write(b"500 unknown command")
        return True

    async def _start_tls(self) -> None:
        server = self._server
        assert server.policy is not None
        await self.lines.write(b"220 go ahead")
        stream = TLSStream.server(self.lines.stream, server.policy, keylog=server.keylog)
        await server.handshake(stream, self._peer, began=False)
        self.lines.go_on(server.watched(stream, self._peer), forget=server.forgets_buffer)
        self._tls = True
        self._forget_letter()  # RFC 3207 section 4.2

    async def _add_recipient(self, recipient: str) -> None:
        if len(self._recipients) >= MAX_RECIPIENTS:
            await self.lines.write(b"452 too many recipients")
            return
        self._recipients.append(recipient)
        await self.lines.write(b"250 ok")

    async def _take_letter(self) -> None:
        await self.lines.write(b"354 end with a dot on a line of its own")
        letter: list[bytes] = []
        size = 0
        while (line := await self.lines.read()) != b".":
            letter.append(line.removeprefix(b"."))
            size += len(line)
            if size > MAX_LETTER:
                raise NetworkError(f"a letter has more than {MAX_LETTER} bytes")
        self._server.deliver(self._peer, self._recipients, b"\r\n".join(letter))
        self._forget_letter()
        await self.lines.write(b"250 delivered")

    def _forget_letter(self) -> None:
        self._sender, self._recipients = None, []


@dataclass(kw_only=True)
class MailClient(Client):
    """Sends letters."""

    mail_tls: MailTLS = "if offered"

    async def send(self, server: Service, recipient: str, letter: Canary) -> None:
        """Send a letter to a mailbox at `server`.

        Raises the errors of the network and of TLS; TLSError if TLS is required but not offered.
        """
        to = URL("smtp", server.name, server.port, "")
        connection = await self.reach(to)
        peer = self.journal.other_end(self.name, connection.reached, to.host)
        lines = Lines(connection)
        try:
            await self._talk(lines, server.name, peer, recipient, letter)
            await lines.stream.aclose()
        finally:
            await trio.aclose_forcefully(lines.stream)

    async def _talk(
        self, lines: Lines, name: str, peer: str, recipient: str, letter: Canary
    ) -> None:
        if self.mail_tls == "from the start":
            await self._start_tls(lines, name, peer)
        await _reply(lines, b"220")
        offered = await self._greet(lines)
        if self.mail_tls != "from the start" and b"STARTTLS" in offered:
            await _ask(lines, b"STARTTLS", b"220")
            await self._start_tls(lines, name, peer)
            await self._greet(lines)
        elif self.mail_tls == "required":
            self.journal.declined(self.name, peer, "STARTTLS is not offered", NOT_OFFERED)
            raise TLSError(f"{peer} does not offer STARTTLS", hint=NOT_OFFERED.fix)
        await _ask(lines, b"MAIL FROM:<" + self.name.encode() + b"@client.test>", b"250")
        await _ask(lines, b"RCPT TO:<" + recipient.encode() + b">", b"250")
        await _ask(lines, b"DATA", b"354")
        secure = isinstance(lines.stream, WatchedStream)
        self.journal.message(self.name, peer, "letter", "note", protected=secure)
        self.journal.said(self.name, name, letter.token)
        await _ask(lines, letter.token + b"\r\n.", b"250")
        await _ask(lines, b"QUIT", b"221")

    async def _greet(self, lines: Lines) -> list[bytes]:
        """Say EHLO; the server's capabilities."""
        reply = await _ask(lines, b"EHLO " + self.name.encode(), b"250")
        return [line.upper().strip() for line in reply[1:]]

    async def _start_tls(self, lines: Lines, name: str, peer: str) -> None:
        stream = TLSStream.client(lines.stream, self.policy, name, keylog=self.keylog)
        await self.handshake(stream, peer)
        lines.go_on(self.watched(stream, peer), forget=True)


async def _ask(lines: Lines, command: bytes, wanted: bytes) -> list[bytes]:
    await lines.write(command)
    return await _reply(lines, wanted)


async def _reply(lines: Lines, wanted: bytes) -> list[bytes]:
    """The lines of a reply, without its code; NetworkError if that is not the one wanted."""
    said: list[bytes] = []
    while len(said) < MAX_REPLY_LINES:
        line = await lines.read()
        if line[:3] != wanted:
            break
        said.append(line[4:])
        if line[3:4] != b"-":
            return said
    raise NetworkError(f"the mail server did not answer {wanted.decode()} as it should")


class MailboxOwner(Adversary):
    """Reads the letters in a mailbox, which is the owner's right."""

    kind = "mailbox owner"

    def __init__(self, name: str, address: str, mailboxes: Mapping[str, list[bytes]]) -> None:
        super().__init__(name, f"reads the letters to {address}")
        self._address = address
        self._mailboxes = mailboxes

    async def take(self, folder: Path) -> list[Path]:
        """Fetch the letters."""
        paths = []
        for number, letter in enumerate(self._mailboxes.get(self._address, ()), 1):
            path = folder / f"letter-{number}.txt"
            path.write_bytes(letter)
            paths.append(path)
        return paths
